"""What may go wrong between the provider's success and a film in our storage (faults.md D)."""

import errno
import hashlib
import io
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from pytest_django import Settings

from accounts.models import User
from billing.credits import ledger
from billing.models import Alert
from tests.videos.world import World
from videos.models import TaskEvent, VideoFile, VideoTask
from videos.ordering.orders import StorageFull
from videos.pipeline import downloads, video_probe
from videos.providers.http import download
from videos.storage import cleanup as storage_cleanup
from videos.storage import media_store, partial_downloads

State = VideoFile.State


pytestmark = pytest.mark.usefixtures("own_media")


@pytest.fixture
def task(world: World, alice: User) -> VideoTask:
    """A film that the provider has finished and we have not yet fetched."""
    task = world.order(alice, duration_s=4)
    world.send()
    world.sandbox.finish()
    world.later(minutes=10)
    world.ask()
    assert world.now(task).status == "downloading"
    return world.now(task)


def the_file(task: VideoTask) -> VideoFile:
    return task.files.get()


def waits_s(world: World, task: VideoTask) -> float:
    return (the_file(task).due_at - world.clock.now()).total_seconds()


def kept(settings: Any, folder: str) -> list[str]:
    """The names of all objects in a folder of the local storage."""
    root = Path(settings.MEDIA_ROOT)
    return sorted(str(path.relative_to(root)) for path in (root / folder).rglob("*") if path.is_file())


def incoming_names(settings: Any) -> list[str]:
    folder = Path(settings.INCOMING_ROOT)
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def save_until_ready(world: World, task: VideoTask, *, rounds: int = 10) -> None:
    for _ in range(rounds):
        if world.now(task).status == "ready":
            return
        world.later(hours=1)
        world.save()


def test_a_film_is_stored_with_what_was_found_out_about_it(world: World, task: VideoTask, settings: Settings) -> None:
    assert world.save() == 1
    world.assert_charged(task)
    file = the_file(task)
    assert file.state == State.STORED
    assert (file.width, file.height, file.video_codec, file.audio_codec) == (1280, 720, "h264", "aac")
    assert file.duration_s == pytest.approx(4, abs=0.1)
    assert file.frame_rate == 5
    content = Path(default_storage.path(file.name)).read_bytes()
    assert hashlib.sha256(content).hexdigest() == file.sha256
    assert len(content) == file.size_bytes
    (served,) = world.sandbox.wait_for("served", task_id=task.provider_task_id)
    assert file.sha256 == served["sha256"]
    assert file.name.startswith("videos/")
    assert len(Path(file.name).stem) >= 43  # 256 bits
    assert Path(default_storage.path(file.poster_name)).read_bytes()[8:12] == b"WEBP"
    assert incoming_names(settings) == []
    assert (file.lease_until, file.last_error, file.fetch_url) == (None, "", "")


def test_a_film_is_stored_once_however_often_its_download_runs(
    world: World, task: VideoTask, settings: Settings
) -> None:
    file_id = the_file(task).pk
    assert downloads.download(file_id)
    assert not downloads.download(file_id)
    assert world.save() == 0
    assert len(kept(settings, "videos")) == 1
    assert world.kinds(task).count("ready") == 1


def test_two_workers_never_fetch_the_same_file(world: World, task: VideoTask) -> None:
    file_id = the_file(task).pk
    seen: list[bool] = []
    world.kill_at("download.claimed", lambda: downloads.download(file_id))
    seen.append(downloads.download(file_id))
    assert seen == [False]
    assert world.save() == 0


def test_another_resolution_than_ordered_is_noted_and_no_failure(world: World, task: VideoTask) -> None:
    VideoTask.objects.filter(pk=task.pk).update(resolution="1080p")
    world.save()
    world.assert_charged(task)
    note = TaskEvent.objects.get(task=task, kind="note")
    assert (note.code, note.detail) == ("resolution", "1280 x 720 where 1080p was ordered")


def test_f44_a_file_that_is_missing_is_asked_for_patiently_until_it_is_there(world: World, task: VideoTask) -> None:
    world.sandbox.set_faults("file-404=1:6")
    world.save()
    assert world.now(task).status == "downloading"
    assert the_file(task).last_error.startswith("missing")
    assert 20 <= waits_s(world, task) <= 40
    assert world.save() == 0
    save_until_ready(world, task)
    world.assert_charged(task)


def test_f44_a_file_that_never_appears_is_given_up_on_day_13_and_refunded(world: World, task: VideoTask) -> None:
    world.sandbox.set_faults("file-404")
    waits = []
    for _ in range(8):
        world.clock.ahead += timedelta(seconds=max(waits_s(world, task), 0) + 1)
        assert world.save() == 1
        waits.append(round(waits_s(world, task)))
    assert waits[:7] == sorted(waits[:7])
    assert all(2800 <= wait <= 4400 for wait in waits[6:])
    assert [alert.cause for alert in world.alerts("undownloaded")] == [task.reference]
    world.later(days=12)
    world.save()
    assert world.now(task).status == "downloading"
    world.later(days=1)
    world.save()
    assert the_file(task).state == State.LOST
    assert world.now(task).failure_code == "no_file"
    world.assert_refunded(task)
    assert Alert.objects.filter(kind="undownloaded", resolved_at=None).exists()
    assert world.submissions() == 1


def test_f44_a_file_that_moved_is_found_where_record_info_says(world: World, task: VideoTask) -> None:
    file = the_file(task)
    true_url = file.source_url
    VideoFile.objects.update(source_url=true_url.replace("/v/", "/v/gone-"))
    world.save()
    assert the_file(task).source_url == true_url
    save_until_ready(world, task)
    world.assert_charged(task)


def test_f44_an_operator_may_have_a_lost_file_looked_for_again(world: World, task: VideoTask) -> None:
    world.sandbox.set_faults("file-404")
    world.later(days=14)
    world.save()
    world.assert_refunded(task)
    world.sandbox.set_faults()
    assert downloads.retry(task_id=task.pk) == 1
    world.save()
    assert the_file(task).state == State.STORED
    late = world.now(task)
    assert (late.status, late.late_at is not None) == ("failed", True)
    world.assert_refunded(task)


@pytest.mark.parametrize("fault", ["file-403-until-minted", "file-expired"])
def test_f45_a_dead_link_is_replaced_by_a_fresh_one_at_once(world: World, task: VideoTask, fault: str) -> None:
    world.sandbox.set_faults(fault)
    world.save()
    world.assert_charged(task)
    assert world.sandbox.read_state()["requests"]["POST /api/v1/common/download-url"] == 1
    assert the_file(task).fetch_url == ""


def test_f45_without_a_fresh_link_it_is_tried_again_later(
    world: World, task: VideoTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.sandbox.set_faults("file-403-until-minted")
    with monkeypatch.context() as patch:
        patch.setattr("videos.pipeline.result_links.request_fresh_url", lambda file: "")
        world.save()
    assert the_file(task).last_error.startswith("link_expired")
    save_until_ready(world, task)
    world.assert_charged(task)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/x.mp4",
        "https://user@127.0.0.1/x.mp4",
        "file:///etc/passwd",
    ],
)
def test_f46_a_forbidden_address_is_never_asked_and_is_told_to_operators(
    world: World, task: VideoTask, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    VideoFile.objects.update(source_url=url)
    dialled: list[Any] = []
    monkeypatch.setattr("socket.socket.connect", lambda self, address: dialled.append(address))
    monkeypatch.setattr("videos.pipeline.result_links.request_fresh_url", lambda file: "")
    world.save()
    monkeypatch.undo()
    assert dialled == []
    assert world.now(task).status == "downloading"
    assert [alert.cause for alert in world.alerts("forbidden_address")] == [task.reference]
    assert waits_s(world, task) > 2000


def test_f46_a_redirect_to_a_private_address_is_not_followed(world: World, task: VideoTask) -> None:
    world.sandbox.set_faults("redirect-private")
    world.save()
    assert world.now(task).status == "downloading"
    assert len(world.alerts("forbidden_address")) == 1
    world.sandbox.set_faults()
    save_until_ready(world, task)
    world.assert_charged(task)


def test_f47_a_dripping_host_holds_a_worker_for_seconds_only(
    world: World, task: VideoTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "SPEED_WINDOW_S", 1.0)
    world.sandbox.set_faults("slow-loris:0.2")
    began = time.monotonic()
    world.save()
    assert time.monotonic() - began < 5
    assert world.now(task).status == "downloading"
    assert the_file(task).last_error.startswith("too_slow")
    world.sandbox.set_faults()
    save_until_ready(world, task)
    world.assert_charged(task)


@pytest.mark.parametrize("fault", ["truncated-file=1:1", "aborted-chunk=1:1"])
def test_f48_a_file_cut_short_is_resumed_where_it_broke(
    world: World, task: VideoTask, fault: str, settings: Settings
) -> None:
    world.sandbox.set_faults(fault)
    world.save()
    assert world.now(task).status == "downloading"
    assert the_file(task).last_error.startswith("interrupted")
    part, note = incoming_names(settings)
    assert (part, note) == (f"{task.pk}.0.1.part", f"{task.pk}.0.1.part.json")
    got = (Path(settings.INCOMING_ROOT) / part).stat().st_size
    assert got > 0
    assert kept(settings, "videos") == []
    save_until_ready(world, task)
    world.assert_charged(task)
    assert incoming_names(settings) == []
    (last,) = world.sandbox.wait_for("served", status=206, task_id=task.provider_task_id)
    assert last["bytes"] == the_file(task).size_bytes - got  # type: ignore[operator]


def test_f48_a_half_that_the_host_will_not_resume_is_fetched_anew(world: World, task: VideoTask) -> None:
    world.sandbox.set_faults("truncated-file=1:1", "no-range")
    world.save()
    save_until_ready(world, task)
    world.assert_charged(task)
    file = the_file(task)
    assert media_store.matches(file.name, size_bytes=file.size_bytes or 0, sha256=file.sha256)


@pytest.mark.parametrize("fault", ["endless-file", "huge-length"])
def test_f49_a_file_without_an_end_is_cut_at_the_cap_and_leaves_nothing(
    world: World, task: VideoTask, fault: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "MAX_BYTES", 3 << 20)
    world.sandbox.set_faults(fault)
    world.save()
    assert the_file(task).last_error.startswith("too_large")
    assert incoming_names(settings) == []
    assert waits_s(world, task) > 2000
    world.sandbox.set_faults()
    save_until_ready(world, task)
    world.assert_charged(task)


@pytest.mark.parametrize("fault", ["html-file", "json-file", "empty-file", "image-file"])
def test_f50_what_is_not_a_film_is_refused_retried_and_told_after_five_times(
    world: World, task: VideoTask, fault: str, settings: Settings
) -> None:
    world.sandbox.set_faults(fault)
    for attempt in range(1, 6):
        assert world.alerts("undownloaded") == []
        world.save()
        assert the_file(task).attempts == attempt
        world.later(hours=1)
    assert [alert.cause for alert in world.alerts("undownloaded")] == [task.reference]
    assert kept(settings, "videos") == incoming_names(settings) == []
    world.sandbox.set_faults()
    world.save()
    world.assert_charged(task)
    assert not Alert.objects.filter(kind="undownloaded", resolved_at=None).exists()


def test_f50_a_film_of_another_length_than_ordered_is_refused(world: World, alice: User) -> None:
    world.sandbox.set_faults("short-film")
    task = world.order(alice, duration_s=8)
    world.send()
    world.sandbox.finish()
    world.later(minutes=10)
    world.ask()
    world.save()
    assert world.now(task).status == "downloading"
    assert the_file(task).last_error == "1.0 s long where 8 s were ordered"


def full_disk(into: io.BufferedRandom, after_bytes: int) -> Any:
    """A file that takes so many bytes and then says that the disk is full."""

    class Full(io.RawIOBase):
        written = 0

        def seek(self, *args: Any) -> int:
            return into.seek(*args)

        def truncate(self, size: int | None = None) -> int:
            return into.truncate(size)

        def write(self, content: Any) -> int:
            self.written += len(content)
            if self.written > after_bytes:
                raise OSError(errno.ENOSPC, "No space left on device")
            return into.write(content)

    return Full()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_f52_a_disk_that_fills_up_in_the_middle_leaves_the_task_waiting(
    world: World, task: VideoTask, settings: Settings, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fetch_onto_full_disk(url: str, *, into: Any, **kwargs: Any) -> download.FetchResult:
        return download.fetch(url, into=full_disk(into, 10_000), **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(downloads, "fetch", fetch_onto_full_disk)
        world.save()
    assert world.now(task).status == "downloading"
    assert "ENOSPC" in world.alerts("storage")[0].detail
    assert incoming_names(settings) == []
    assert 40 <= waits_s(world, task) <= 80
    world.later(minutes=2)
    world.save()
    world.assert_charged(task)
    assert not Alert.objects.filter(kind="storage", resolved_at=None).exists()


def test_f52_below_the_reserve_nothing_is_fetched_until_there_is_room(
    world: World, task: VideoTask, settings: Settings
) -> None:
    settings.DISK_RESERVE_MB = 10**9
    assert not media_store.has_free_space()
    world.save()
    assert world.now(task).status == "downloading"
    assert world.sandbox.events("served", task_id=task.provider_task_id) == []
    assert len(world.alerts("storage")) == 1
    settings.DISK_RESERVE_MB = 0
    assert media_store.has_free_space()
    world.later(minutes=2)
    world.save()
    world.assert_charged(task)


def test_f52_a_full_storage_never_costs_the_user_the_film_however_long_it_lasts(
    world: World, task: VideoTask, settings: Settings
) -> None:
    settings.DISK_RESERVE_MB = 10**9
    world.later(days=13, hours=1)
    world.save()
    assert the_file(task).state == State.PENDING
    assert world.now(task).status == "downloading"


@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.ENOSPC])
def test_f53_a_storage_that_cannot_be_written_is_tried_again_until_it_can(
    world: World, task: VideoTask, settings: Settings, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise OSError(code, "no")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        world.save()
    assert world.now(task).status == "downloading"
    assert errno.errorcode[code] in world.alerts("storage")[0].detail
    assert incoming_names(settings) == []
    world.later(minutes=2)
    world.save()
    world.assert_charged(task)
    assert len(kept(settings, "videos")) == len(kept(settings, "posters")) == 1


def test_f54_a_film_moved_before_a_crash_is_adopted_without_fetching_it_again(
    world: World, task: VideoTask, settings: Settings
) -> None:
    world.kill_at("download.moved", world.save)
    assert the_file(task).state == State.PENDING
    (name,) = kept(settings, "videos")
    world.sandbox.wait_for("served", task_id=task.provider_task_id)
    assert world.save() == 0
    world.later(minutes=6)
    world.save()
    world.assert_charged(task)
    assert the_file(task).name == name
    assert len(world.sandbox.events("served", task_id=task.provider_task_id)) == 1
    assert (kept(settings, "videos"), len(kept(settings, "posters"))) == ([name], 1)


def test_f54_a_moved_film_that_does_not_hold_is_replaced(world: World, task: VideoTask, settings: Settings) -> None:
    world.kill_at("download.moved", world.save)
    (name,) = kept(settings, "videos")
    Path(default_storage.path(name)).write_bytes(b"half of a film")
    world.later(minutes=6)
    world.save()
    world.assert_charged(task)
    assert kept(settings, "videos") == [the_file(task).name] != [name]
    assert kept(settings, "posters") == [the_file(task).poster_name]


@pytest.mark.parametrize(
    "place", ["download.claimed", "download.fetched", "download.checked", "download.intended", "download.committed"]
)
def test_f54_a_crash_anywhere_leaves_one_film_and_no_orphan(
    world: World, task: VideoTask, settings: Settings, place: str
) -> None:
    world.kill_at(place, world.save)
    world.later(minutes=6)
    world.save()
    world.assert_charged(task)
    file = the_file(task)
    storage_cleanup.sweep_files(world.clock.now())
    assert incoming_names(settings) == []
    assert kept(settings, "videos") == [file.name]
    assert kept(settings, "posters") == [file.poster_name]
    assert world.kinds(task).count("stored") == world.kinds(task).count("ready") == 1


def test_f54_an_object_without_a_row_is_swept_after_a_day_and_not_before(
    world: World, task: VideoTask, settings: Settings
) -> None:
    world.save()
    orphan = media_store.new_name(media_store.VIDEOS, ".mp4")
    media_store.store_bytes(b"nobody's", orphan, mime_type="video/mp4")
    storage_cleanup.sweep_files(world.clock.now())
    assert orphan in kept(settings, "videos")
    world.later(hours=25)
    assert storage_cleanup.sweep_files(world.clock.now()) == 1
    assert kept(settings, "videos") == [the_file(task).name]


def test_f55_a_worker_killed_in_mid_download_is_replaced_within_six_minutes(
    world: World, task: VideoTask, settings: Settings
) -> None:
    world.kill_at("download.fetched", world.save)
    assert incoming_names(settings) == [f"{task.pk}.0.1.part"]
    world.later(minutes=4)
    assert world.save() == 0
    world.later(minutes=2)
    assert world.save() == 1
    world.assert_charged(task)
    assert incoming_names(settings) == []


def test_f22_a_worker_that_sleeps_past_its_lease_and_wakes_changes_nothing(
    world: World, task: VideoTask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sleeper has fetched and checked; while it draws the poster, another takes over and ends the work."""
    draw = video_probe.draw_poster

    def sleep_first(path: Path, *, duration_s: float) -> bytes:
        monkeypatch.setattr(video_probe, "draw_poster", draw)
        world.later(minutes=6)
        assert world.save() == 1
        return draw(path, duration_s=duration_s) if path.exists() else b""

    monkeypatch.setattr(video_probe, "draw_poster", sleep_first)
    world.save()
    world.assert_charged(task)
    file = the_file(task)
    assert (file.fence, file.attempts) == (2, 2)
    assert kept(settings, "videos") == [file.name]
    assert kept(settings, "posters") == [file.poster_name]
    assert incoming_names(settings) == []


def test_f22_a_sleeper_that_moved_its_film_takes_it_back(world: World, task: VideoTask, settings: Settings) -> None:
    file_id = the_file(task).pk
    move_in = media_store.store_file

    with pytest.MonkeyPatch.context() as patch:

        def sleep_before(path: Path, name: str, *, mime_type: str) -> None:
            patch.undo()
            move_in(path, name, mime_type=mime_type)
            world.later(minutes=6)
            world.save()

        patch.setattr(media_store, "store_file", sleep_before)
        downloads.download(file_id)
    world.assert_charged(task)
    file = the_file(task)
    assert media_store.matches(file.name, size_bytes=file.size_bytes or 0, sha256=file.sha256)
    assert kept(settings, "videos") == [file.name]


def with_second(task: VideoTask, url: str) -> VideoFile:
    return VideoFile.objects.create(task=task, index=1, source_url=url)


def test_f56_of_two_results_both_are_stored_before_the_task_is_ready(world: World, task: VideoTask) -> None:
    first = the_file(task)
    second = with_second(task, first.source_url.replace("/v/", "/v/none-"))
    world.save()
    assert VideoFile.objects.get(pk=first.pk).state == State.STORED
    assert world.now(task).status == "downloading"
    VideoFile.objects.filter(pk=second.pk).update(source_url=first.source_url)
    world.later(hours=1)
    world.save()
    world.assert_charged(task)
    assert task.files.filter(state=State.STORED).count() == 2


def test_f56_when_one_of_two_never_comes_the_whole_is_refunded(world: World, task: VideoTask) -> None:
    with_second(task, the_file(task).source_url.replace("/v/", "/v/none-"))
    world.save()
    world.later(days=14)
    world.save()
    states = list(task.files.order_by("index").values_list("state", flat=True))
    assert states == [State.STORED, State.LOST]
    world.assert_refunded(task)


def test_a_video_deleted_while_it_arrives_is_not_stored(world: World, task: VideoTask, settings: Settings) -> None:
    file_id = the_file(task).pk
    draw = video_probe.draw_poster

    with pytest.MonkeyPatch.context() as patch:

        def delete_first(path: Path, *, duration_s: float) -> bytes:
            storage_cleanup.delete_files(task)
            return draw(path, duration_s=duration_s)

        patch.setattr(video_probe, "draw_poster", delete_first)
        downloads.download(file_id)
    file = VideoFile.objects.get(pk=file_id)
    assert (file.state, file.name, file.source_url) == (State.DELETED, "", "")
    assert kept(settings, "videos") == kept(settings, "posters") == incoming_names(settings) == []


def test_a_film_that_kills_its_workers_is_told_to_operators(world: World, task: VideoTask) -> None:
    for _ in range(6):
        world.kill_at("download.fetched", world.save)
        world.later(minutes=6)
    assert [alert.cause for alert in world.alerts("undownloaded")] == [task.reference]


def test_what_nobody_foresaw_is_tried_again(world: World, task: VideoTask, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(video_probe, "draw_poster", lambda *args, **kwargs: 1 / 0)
        world.save()
    assert the_file(task).last_error == "ZeroDivisionError"
    world.later(minutes=1)
    world.save()
    world.assert_charged(task)


def test_parts_are_swept_when_a_day_old_or_of_no_use(world: World, task: VideoTask, settings: Settings) -> None:
    folder = Path(settings.INCOMING_ROOT)
    folder.mkdir(parents=True)
    file = the_file(task)
    (folder / f"{task.pk}.0.0.part").write_bytes(b"somebody may be at work on it")
    (folder / f"{task.pk}.7.1.part").write_bytes(b"no such file is awaited")
    (folder / "abc.tmp").write_bytes(b"half written")
    storage_cleanup.sweep_files(world.clock.now())
    assert incoming_names(settings) == sorted([f"{task.pk}.0.0.part", "abc.tmp"])
    world.later(hours=25)
    storage_cleanup.sweep_files(world.clock.now())
    assert incoming_names(settings) == []
    assert partial_downloads.path_of(file).parent == folder


def test_f52_new_orders_are_refused_uncharged_while_the_disk_is_full(
    world: World, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videos.storage.media_store.has_free_space", lambda: False)
    with pytest.raises(StorageFull) as refusal:
        world.order(alice)
    assert "Nothing was charged" in str(refusal.value)
    assert [entry.kind for entry in ledger.statement(alice)] == ["grant"]
    assert world.alerts("storage")

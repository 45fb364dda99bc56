"""Workers that crash, are suspended or compete during a download, and orders with two results (faults.md D)."""

from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from pytest_django import Settings

from tests.videos.pipeline.stored_files import State, file_of, incoming_names, stored_names
from tests.videos.world import World
from videos.models import VideoFile, VideoTask
from videos.pipeline import downloads, video_probe
from videos.storage import cleanup as storage_cleanup
from videos.storage import media_store

pytestmark = pytest.mark.usefixtures("own_media")


def test_f54_a_video_moved_before_a_crash_is_kept_without_fetching_it_again(
    world: World, task: VideoTask, settings: Settings
) -> None:
    world.kill_at("download.moved", world.download)
    assert file_of(task).state == State.PENDING
    (name,) = stored_names(settings, "videos")
    world.sandbox.wait_for("served", task_id=task.provider_task_id)
    assert world.download() == 0
    world.advance(minutes=6)
    world.download()
    world.assert_charged(task)
    assert file_of(task).name == name
    assert len(world.sandbox.events("served", task_id=task.provider_task_id)) == 1
    assert (stored_names(settings, "videos"), len(stored_names(settings, "posters"))) == ([name], 1)


def test_f54_a_moved_video_with_other_content_is_replaced(world: World, task: VideoTask, settings: Settings) -> None:
    world.kill_at("download.moved", world.download)
    (name,) = stored_names(settings, "videos")
    Path(default_storage.path(name)).write_bytes(b"incomplete video")
    world.advance(minutes=6)
    world.download()
    world.assert_charged(task)
    assert stored_names(settings, "videos") == [file_of(task).name] != [name]
    assert stored_names(settings, "posters") == [file_of(task).poster_name]


@pytest.mark.parametrize(
    "checkpoint",
    ["download.claimed", "download.fetched", "download.checked", "download.intended", "download.committed"],
)
def test_f54_a_crash_at_any_point_leaves_one_video_and_no_stray_object(
    world: World, task: VideoTask, settings: Settings, checkpoint: str
) -> None:
    world.kill_at(checkpoint, world.download)
    world.advance(minutes=6)
    world.download()
    world.assert_charged(task)
    file = file_of(task)
    storage_cleanup.sweep_files(world.clock.now())
    assert incoming_names(settings) == []
    assert stored_names(settings, "videos") == [file.name]
    assert stored_names(settings, "posters") == [file.poster_name]
    assert world.event_kinds(task).count("stored") == world.event_kinds(task).count("ready") == 1


def test_f55_a_worker_killed_in_mid_download_is_replaced_within_six_minutes(
    world: World, task: VideoTask, settings: Settings
) -> None:
    world.kill_at("download.fetched", world.download)
    assert incoming_names(settings) == [f"{task.pk}.0.1.part"]
    world.advance(minutes=4)
    assert world.download() == 0
    world.advance(minutes=2)
    assert world.download() == 1
    world.assert_charged(task)
    assert incoming_names(settings) == []


def test_f22_a_worker_suspended_past_its_lease_changes_nothing(
    world: World, task: VideoTask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a suspended worker draws the poster, another worker takes over and finishes."""
    draw = video_probe.draw_poster

    def draw_after_suspension(path: Path, *, duration_s: float) -> bytes:
        monkeypatch.setattr(video_probe, "draw_poster", draw)
        world.advance(minutes=6)
        assert world.download() == 1
        return draw(path, duration_s=duration_s) if path.exists() else b""

    monkeypatch.setattr(video_probe, "draw_poster", draw_after_suspension)
    world.download()
    world.assert_charged(task)
    file = file_of(task)
    assert (file.fence, file.attempts) == (2, 2)
    assert stored_names(settings, "videos") == [file.name]
    assert stored_names(settings, "posters") == [file.poster_name]
    assert incoming_names(settings) == []


def test_f22_a_suspended_worker_that_moved_its_video_removes_it(
    world: World, task: VideoTask, settings: Settings
) -> None:
    file_id = file_of(task).pk
    store_file = media_store.store_file

    with pytest.MonkeyPatch.context() as patch:

        def store_before_suspension(path: Path, name: str, *, mime_type: str) -> None:
            patch.undo()
            store_file(path, name, mime_type=mime_type)
            world.advance(minutes=6)
            world.download()

        patch.setattr(media_store, "store_file", store_before_suspension)
        downloads.download(file_id)
    world.assert_charged(task)
    file = file_of(task)
    assert media_store.matches(file.name, size_bytes=file.size_bytes or 0, sha256=file.sha256)
    assert stored_names(settings, "videos") == [file.name]


def add_second_file(task: VideoTask, url: str) -> VideoFile:
    return VideoFile.objects.create(task=task, index=1, source_url=url)


def test_f56_of_two_results_both_are_stored_before_the_task_is_ready(world: World, task: VideoTask) -> None:
    first = file_of(task)
    second = add_second_file(task, first.source_url.replace("/v/", "/v/none-"))
    world.download()
    assert VideoFile.objects.get(pk=first.pk).state == State.STORED
    assert world.reload(task).status == "downloading"
    VideoFile.objects.filter(pk=second.pk).update(source_url=first.source_url)
    world.advance(hours=1)
    world.download()
    world.assert_charged(task)
    assert task.files.filter(state=State.STORED).count() == 2


def test_f56_when_one_of_two_results_never_arrives_the_order_is_refunded(world: World, task: VideoTask) -> None:
    add_second_file(task, file_of(task).source_url.replace("/v/", "/v/none-"))
    world.download()
    world.advance(days=14)
    world.download()
    states = list(task.files.order_by("index").values_list("state", flat=True))
    assert states == [State.STORED, State.LOST]
    world.assert_refunded(task)


def test_a_video_deleted_during_its_download_is_not_stored(world: World, task: VideoTask, settings: Settings) -> None:
    file_id = file_of(task).pk
    draw = video_probe.draw_poster

    with pytest.MonkeyPatch.context() as patch:

        def draw_after_deletion(path: Path, *, duration_s: float) -> bytes:
            storage_cleanup.delete_files(task)
            return draw(path, duration_s=duration_s)

        patch.setattr(video_probe, "draw_poster", draw_after_deletion)
        downloads.download(file_id)
    file = VideoFile.objects.get(pk=file_id)
    assert (file.state, file.name, file.source_url) == (State.DELETED, "", "")
    assert stored_names(settings, "videos") == stored_names(settings, "posters") == incoming_names(settings) == []


def test_a_video_that_kills_its_workers_raises_an_alert(world: World, task: VideoTask) -> None:
    for _ in range(6):
        world.kill_at("download.fetched", world.download)
        world.advance(minutes=6)
    assert [alert.cause for alert in world.list_alerts("undownloaded")] == [task.reference]


def test_an_unexpected_error_is_retried(world: World, task: VideoTask, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(video_probe, "draw_poster", lambda *args, **kwargs: 1 / 0)
        world.download()
    assert file_of(task).last_error == "ZeroDivisionError"
    world.advance(minutes=1)
    world.download()
    world.assert_charged(task)

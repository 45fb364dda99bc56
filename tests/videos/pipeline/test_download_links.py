"""Result links that are missing, expired or forbidden, and hosts that are slow or break off (faults.md D)."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from accounts.models import User
from billing.models import Alert
from tests.videos.pipeline.stored_files import State, file_of, incoming_names, stored_names, wait_s
from tests.videos.world import World
from videos.models import VideoFile, VideoTask
from videos.pipeline import downloads
from videos.storage import media_store

pytestmark = pytest.mark.usefixtures("own_media")


def download_until_ready(world: World, task: VideoTask, *, rounds: int = 10) -> None:
    for _ in range(rounds):
        if world.reload(task).status == "ready":
            return
        world.advance(hours=1)
        world.download()


def test_f44_a_missing_file_is_retried_until_it_exists(world: World, task: VideoTask) -> None:
    world.sandbox.set_faults("file-404=1:6")
    world.download()
    assert world.reload(task).status == "downloading"
    assert file_of(task).last_error.startswith("missing")
    assert 20 <= wait_s(world, task) <= 40
    assert world.download() == 0
    download_until_ready(world, task)
    world.assert_charged(task)


def test_f44_a_file_that_never_appears_is_given_up_on_day_13_and_refunded(world: World, task: VideoTask) -> None:
    world.sandbox.set_faults("file-404")
    waits = []
    for _ in range(8):
        world.clock.offset += timedelta(seconds=max(wait_s(world, task), 0) + 1)
        assert world.download() == 1
        waits.append(round(wait_s(world, task)))
    assert waits[:7] == sorted(waits[:7])
    assert all(2800 <= wait <= 4400 for wait in waits[6:])
    assert [alert.cause for alert in world.list_alerts("undownloaded")] == [task.reference]
    world.advance(days=12)
    world.download()
    assert world.reload(task).status == "downloading"
    world.advance(days=1)
    world.download()
    assert file_of(task).state == State.LOST
    assert world.reload(task).failure_code == "no_file"
    world.assert_refunded(task)
    assert Alert.objects.filter(kind="undownloaded", resolved_at=None).exists()
    assert world.count_submissions() == 1


def test_f44_a_file_that_moved_is_fetched_from_the_newly_reported_url(world: World, task: VideoTask) -> None:
    file = file_of(task)
    true_url = file.source_url
    VideoFile.objects.update(source_url=true_url.replace("/v/", "/v/gone-"))
    world.download()
    assert file_of(task).source_url == true_url
    download_until_ready(world, task)
    world.assert_charged(task)


def test_f44_an_operator_can_retry_a_lost_file(world: World, task: VideoTask) -> None:
    world.sandbox.set_faults("file-404")
    world.advance(days=14)
    world.download()
    world.assert_refunded(task)
    world.sandbox.set_faults()
    assert downloads.retry(task_id=task.pk) == 1
    world.download()
    assert file_of(task).state == State.STORED
    late = world.reload(task)
    assert (late.status, late.late_at is not None) == ("failed", True)
    world.assert_refunded(task)


@pytest.mark.parametrize("fault", ["file-403-until-minted", "file-expired"])
def test_f45_an_expired_link_is_replaced_by_a_fresh_one_in_the_same_attempt(
    world: World, task: VideoTask, fault: str
) -> None:
    world.sandbox.set_faults(fault)
    world.download()
    world.assert_charged(task)
    assert world.sandbox.read_state()["requests"]["POST /api/v1/common/download-url"] == 1
    assert file_of(task).fetch_url == ""


def test_f45_without_a_fresh_link_the_download_is_retried_later(
    world: World, task: VideoTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.sandbox.set_faults("file-403-until-minted")
    with monkeypatch.context() as patch:
        patch.setattr("videos.pipeline.result_links.request_fresh_url", lambda file: "")
        world.download()
    assert file_of(task).last_error.startswith("link_expired")
    download_until_ready(world, task)
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
def test_f46_a_forbidden_address_is_never_contacted_and_operators_are_alerted(
    world: World, task: VideoTask, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    VideoFile.objects.update(source_url=url)
    contacted: list[Any] = []
    monkeypatch.setattr("socket.socket.connect", lambda self, address: contacted.append(address))
    monkeypatch.setattr("videos.pipeline.result_links.request_fresh_url", lambda file: "")
    world.download()
    monkeypatch.undo()
    assert contacted == []
    assert world.reload(task).status == "downloading"
    assert [alert.cause for alert in world.list_alerts("forbidden_address")] == [task.reference]
    assert wait_s(world, task) > 2000


def test_f46_a_redirect_to_a_private_address_is_not_followed(world: World, task: VideoTask) -> None:
    world.sandbox.set_faults("redirect-private")
    world.download()
    assert world.reload(task).status == "downloading"
    assert len(world.list_alerts("forbidden_address")) == 1
    world.sandbox.set_faults()
    download_until_ready(world, task)
    world.assert_charged(task)


def test_f47_a_slow_host_holds_a_worker_for_seconds_only(
    world: World, task: VideoTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "SPEED_WINDOW_S", 1.0)
    world.sandbox.set_faults("slow-loris:0.2")
    started_at = time.monotonic()
    world.download()
    assert time.monotonic() - started_at < 5
    assert world.reload(task).status == "downloading"
    assert file_of(task).last_error.startswith("too_slow")
    world.sandbox.set_faults()
    download_until_ready(world, task)
    world.assert_charged(task)


@pytest.mark.parametrize("fault", ["truncated-file=1:1", "aborted-chunk=1:1"])
def test_f48_a_truncated_file_is_resumed_where_it_ended(
    world: World, task: VideoTask, fault: str, settings: Settings
) -> None:
    world.sandbox.set_faults(fault)
    world.download()
    assert world.reload(task).status == "downloading"
    assert file_of(task).last_error.startswith("interrupted")
    part, note = incoming_names(settings)
    assert (part, note) == (f"{task.pk}.0.1.part", f"{task.pk}.0.1.part.json")
    received_bytes = (Path(settings.INCOMING_ROOT) / part).stat().st_size
    assert received_bytes > 0
    assert stored_names(settings, "videos") == []
    download_until_ready(world, task)
    world.assert_charged(task)
    assert incoming_names(settings) == []
    (last_response,) = world.sandbox.wait_for("served", status=206, task_id=task.provider_task_id)
    assert last_response["bytes"] == file_of(task).size_bytes - received_bytes  # type: ignore[operator]


def test_f48_a_file_that_cannot_be_resumed_is_fetched_from_the_start(world: World, task: VideoTask) -> None:
    world.sandbox.set_faults("truncated-file=1:1", "no-range")
    world.download()
    download_until_ready(world, task)
    world.assert_charged(task)
    file = file_of(task)
    assert media_store.matches(file.name, size_bytes=file.size_bytes or 0, sha256=file.sha256)


@pytest.mark.parametrize("fault", ["endless-file", "huge-length"])
def test_f49_an_endless_file_is_stopped_at_the_limit_and_leaves_nothing(
    world: World, task: VideoTask, fault: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "MAX_BYTES", 3 << 20)
    world.sandbox.set_faults(fault)
    world.download()
    assert file_of(task).last_error.startswith("too_large")
    assert incoming_names(settings) == []
    assert wait_s(world, task) > 2000
    world.sandbox.set_faults()
    download_until_ready(world, task)
    world.assert_charged(task)


@pytest.mark.parametrize("fault", ["html-file", "json-file", "empty-file", "image-file"])
def test_f50_an_invalid_video_is_refused_retried_and_alerted_after_five_times(
    world: World, task: VideoTask, fault: str, settings: Settings
) -> None:
    world.sandbox.set_faults(fault)
    for attempt in range(1, 6):
        assert world.list_alerts("undownloaded") == []
        world.download()
        assert file_of(task).attempts == attempt
        world.advance(hours=1)
    assert [alert.cause for alert in world.list_alerts("undownloaded")] == [task.reference]
    assert stored_names(settings, "videos") == incoming_names(settings) == []
    world.sandbox.set_faults()
    world.download()
    world.assert_charged(task)
    assert not Alert.objects.filter(kind="undownloaded", resolved_at=None).exists()


def test_f50_a_video_with_another_duration_than_ordered_is_refused(world: World, alice: User) -> None:
    world.sandbox.set_faults("short-film")
    task = world.order(alice, duration_s=8)
    world.send()
    world.sandbox.finish()
    world.advance(minutes=10)
    world.poll()
    world.download()
    assert world.reload(task).status == "downloading"
    assert file_of(task).last_error == "1.0 s long where 8 s were ordered"

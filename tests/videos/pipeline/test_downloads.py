"""Downloads of finished videos: each is checked, stored once, and retried if it fails (faults.md D)."""

import hashlib
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from pytest_django import Settings

from tests.videos.pipeline.stored_files import State, file_of, incoming_names, stored_names
from tests.videos.world import World
from videos.models import TaskEvent, VideoTask
from videos.pipeline import downloads

pytestmark = pytest.mark.usefixtures("own_media")


def test_a_video_is_stored_with_its_properties(world: World, task: VideoTask, settings: Settings) -> None:
    assert world.download() == 1
    world.assert_charged(task)
    file = file_of(task)
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


def test_a_video_is_stored_once_however_often_its_download_runs(
    world: World, task: VideoTask, settings: Settings
) -> None:
    file_id = file_of(task).pk
    assert downloads.download(file_id)
    assert not downloads.download(file_id)
    assert world.download() == 0
    assert len(stored_names(settings, "videos")) == 1
    assert world.event_kinds(task).count("ready") == 1


def test_two_workers_never_fetch_the_same_file(world: World, task: VideoTask) -> None:
    file_id = file_of(task).pk
    world.kill_at("download.claimed", lambda: downloads.download(file_id))
    assert downloads.download(file_id) is False
    assert world.download() == 0


def test_a_resolution_other_than_ordered_is_noted_but_no_failure(world: World, task: VideoTask) -> None:
    VideoTask.objects.filter(pk=task.pk).update(resolution="1080p")
    world.download()
    world.assert_charged(task)
    note = TaskEvent.objects.get(task=task, kind="note")
    assert (note.code, note.detail) == ("resolution", "1280 x 720 where 1080p was ordered")

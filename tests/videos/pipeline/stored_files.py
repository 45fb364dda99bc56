"""Helpers that read which files a download has stored and when it is retried."""

from pathlib import Path
from typing import Any

from tests.videos.world import World
from videos.models import VideoFile, VideoTask

State = VideoFile.State


def file_of(task: VideoTask) -> VideoFile:
    return task.files.get()


def wait_s(world: World, task: VideoTask) -> float:
    """The seconds until the next download attempt."""
    return (file_of(task).due_at - world.clock.now()).total_seconds()


def stored_names(settings: Any, folder: str) -> list[str]:
    """The names of all objects in a folder of the local storage."""
    root = Path(settings.MEDIA_ROOT)
    return sorted(str(path.relative_to(root)) for path in (root / folder).rglob("*") if path.is_file())


def incoming_names(settings: Any) -> list[str]:
    """The names of all partial downloads."""
    folder = Path(settings.INCOMING_ROOT)
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

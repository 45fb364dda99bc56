"""Files that are being downloaded: one per attempt, named after task, index and fence, and what is needed to resume it.

A note (`….part.json`) is written only when an attempt has closed its file. So a file with a note may be taken over; one
without may still be written to by a suspended process, and is never resumed.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.conf import settings

from videos.models import VideoFile

_NAME = re.compile(
    r"(?P<task>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(?P<index>\d+)\.(?P<fence>\d+)\.part(\.json)?"
)


@dataclass(frozen=True)
class PartialFile:
    """How many bytes of a file are there already, and the validator that the provider's file must still have to resume."""

    bytes: int = 0
    etag: str = ""


def path_of(file: VideoFile) -> Path:
    """Where this attempt writes its bytes."""
    return Path(settings.INCOMING_ROOT) / f"{file.task_id}.{file.index}.{file.fence}.part"


def open_file(file: VideoFile) -> PartialFile:
    """Create this attempt's file, from an earlier attempt's bytes if they may be taken over. Raises OSError."""
    own_path = path_of(file)
    own_path.parent.mkdir(parents=True, exist_ok=True)
    resumed = PartialFile()
    earlier = sorted(own_path.parent.glob(f"{file.task_id}.{file.index}.*.part"), key=_fence, reverse=True)
    for path in earlier:
        part = _read_note(path)
        _note_of(path).unlink(missing_ok=True)
        if part.etag and not resumed.etag and path.stat().st_size >= part.bytes > 0:
            path.replace(own_path)
            resumed = part
        else:
            path.unlink(missing_ok=True)
    own_path.touch()
    return resumed


def close(file: VideoFile, *, part: PartialFile) -> None:
    """End the attempt and note what the next may resume; without anything to resume the file is removed. Raises OSError."""
    path = path_of(file)
    if part.bytes and part.etag:
        _note_of(path).write_text(json.dumps({"bytes": part.bytes, "etag": part.etag}), encoding="utf-8")
    else:
        discard(file)


def discard(file: VideoFile) -> None:
    """Remove this attempt's file. Raises OSError."""
    path_of(file).unlink(missing_ok=True)
    _note_of(path_of(file)).unlink(missing_ok=True)


def list_all() -> Iterator[tuple[Path, tuple[UUID, int] | None]]:
    """Every file here, with the (task id, index) in its name, if there is one."""
    folder = Path(settings.INCOMING_ROOT)
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        yield path, (UUID(match["task"]), int(match["index"])) if match else None


def _fence(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match["fence"]) if match else -1


def _note_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _read_note(path: Path) -> PartialFile:
    try:
        note = json.loads(_note_of(path).read_text(encoding="utf-8"))
        return PartialFile(bytes=int(note["bytes"]), etag=str(note["etag"]))
    except (OSError, ValueError, KeyError, TypeError):
        return PartialFile()

"""Where results arrive: one file per attempt, named after task, number and fence, and what is needed to resume it.

A note (`….part.json`) is written only when its writer has closed the file for good. So a file with a note belongs to
nobody and may be taken over; one without may still be written to by a process that sleeps, and is left to die.
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
class Arrived:
    """How much of a file is there already, and what must still hold at the provider to go on from it."""

    bytes: int = 0
    etag: str = ""


def path_of(file: VideoFile) -> Path:
    """Where this attempt writes."""
    return Path(settings.INCOMING_ROOT) / f"{file.task_id}.{file.index}.{file.fence}.part"


def open_for(file: VideoFile) -> Arrived:
    """Make this attempt's file, from what an earlier attempt left if that may be taken over. Raises OSError."""
    mine = path_of(file)
    mine.parent.mkdir(parents=True, exist_ok=True)
    arrived = Arrived()
    earlier = sorted(mine.parent.glob(f"{file.task_id}.{file.index}.*.part"), key=_fence, reverse=True)
    for path in earlier:
        left = _read_note(path)
        _note_of(path).unlink(missing_ok=True)
        if left.etag and not arrived.etag and path.stat().st_size >= left.bytes > 0:
            path.replace(mine)
            arrived = left
        else:
            path.unlink(missing_ok=True)
    mine.touch()
    return arrived


def leave(file: VideoFile, *, arrived: Arrived) -> None:
    """Close the attempt and say what the next may build on; nothing to build on removes the file. Raises OSError."""
    path = path_of(file)
    if arrived.bytes and arrived.etag:
        _note_of(path).write_text(json.dumps({"bytes": arrived.bytes, "etag": arrived.etag}), encoding="utf-8")
    else:
        discard(file)


def discard(file: VideoFile) -> None:
    """Remove this attempt's file. Raises OSError."""
    path_of(file).unlink(missing_ok=True)
    _note_of(path_of(file)).unlink(missing_ok=True)


def leftovers() -> Iterator[tuple[Path, tuple[UUID, int] | None]]:
    """Every file here, with the (task, number) that its name tells, if it tells one."""
    folder = Path(settings.INCOMING_ROOT)
    for path in folder.iterdir() if folder.is_dir() else ():
        told = _NAME.fullmatch(path.name)
        yield path, (UUID(told["task"]), int(told["index"])) if told else None


def _fence(path: Path) -> int:
    told = _NAME.fullmatch(path.name)
    return int(told["fence"]) if told else -1


def _note_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _read_note(path: Path) -> Arrived:
    try:
        note = json.loads(_note_of(path).read_text(encoding="utf-8"))
        return Arrived(bytes=int(note["bytes"]), etag=str(note["etag"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Arrived()

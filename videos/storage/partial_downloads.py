"""Partial downloads: one `.part` file for each attempt to download a result.

Its name consists of the task id, the index of the result and the `fence` number of the attempt (see `VideoFile.fence`).

When an attempt ends it writes a note (`….part.json`) with what is needed to resume it. A file without a note is never
resumed, because a suspended process may still write to it.
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
    """How many bytes have arrived, and the ETag that the provider's file must still have to resume the download."""

    bytes: int = 0
    etag: str = ""


def path_of(file: VideoFile) -> Path:
    """The path to which this attempt writes."""
    return Path(settings.INCOMING_ROOT) / f"{file.task_id}.{file.index}.{file.fence}.part"


def open_file(file: VideoFile) -> PartialFile:
    """Create the file of this attempt. If an earlier attempt can be resumed, its bytes are taken over. Raises OSError.

    Returns how much was taken over. The files of all other earlier attempts are removed.
    """
    target = path_of(file)
    target.parent.mkdir(parents=True, exist_ok=True)
    resumed = PartialFile()
    earlier = sorted(target.parent.glob(f"{file.task_id}.{file.index}.*.part"), key=_fence, reverse=True)
    for path in earlier:
        part = _read_note(path)
        _note_path(path).unlink(missing_ok=True)
        if part.etag and not resumed.etag and path.stat().st_size >= part.bytes > 0:
            path.replace(target)
            resumed = part
        else:
            path.unlink(missing_ok=True)
    target.touch()
    return resumed


def close(file: VideoFile, *, part: PartialFile) -> None:
    """Write the note for the next attempt, or remove the file if nothing can be resumed. Raises OSError."""
    path = path_of(file)
    if part.bytes and part.etag:
        _note_path(path).write_text(json.dumps({"bytes": part.bytes, "etag": part.etag}), encoding="utf-8")
    else:
        discard(file)


def discard(file: VideoFile) -> None:
    """Remove this attempt's file. Raises OSError."""
    path_of(file).unlink(missing_ok=True)
    _note_path(path_of(file)).unlink(missing_ok=True)


def list_all() -> Iterator[tuple[Path, tuple[UUID, int] | None]]:
    """Every file in the folder, with the (task id, index) in its name, or None for other names."""
    folder = Path(settings.INCOMING_ROOT)
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        yield path, (UUID(match["task"]), int(match["index"])) if match else None


def _fence(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match["fence"]) if match else -1


def _note_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _read_note(path: Path) -> PartialFile:
    try:
        note = json.loads(_note_path(path).read_text(encoding="utf-8"))
        return PartialFile(bytes=int(note["bytes"]), etag=str(note["etag"]))
    except (OSError, ValueError, KeyError, TypeError):
        return PartialFile()

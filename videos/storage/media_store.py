"""Objects in the media storage, a local folder or S3: they appear whole or not at all, under names nobody can guess.

Knows no rows. Whatever goes wrong with disk or bucket is a StorageTrouble: our side's fault, never the provider's.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage

from accounts.seams import clock, randomness

VIDEOS, POSTERS, IMAGES = "videos", "posters", "images"
FOLDERS = (VIDEOS, POSTERS, IMAGES)

_BLOCK_BYTES = 1 << 20


class StorageTrouble(Exception):
    """A full disk, a folder that cannot be written, a bucket that does not answer; the text is for operators."""

    @property
    def facts(self) -> dict[str, object]:
        """What the alert tells; nothing where the text is the system's own."""
        return {}


class DiskFull(StorageTrouble):
    """Less than the reserve is free."""

    @property
    def facts(self) -> dict[str, object]:
        return no_room()


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@contextmanager
def trouble(doing: str) -> Iterator[None]:
    """Turn what a disk or a bucket may raise within the block into StorageTrouble."""
    try:
        yield
    except (OSError, Boto3Error, BotoCoreError, ClientError) as error:
        raise StorageTrouble(f"{doing}: {_words(error)}") from error


def new_name(folder: str, suffix: str) -> str:
    """A name with 256 random bits, e.g. `videos/2026/11/….mp4`."""
    return f"{folder}/{clock.now():%Y/%m}/{randomness.token()}{suffix}"


def local_path(name: str) -> Path | None:
    """Where the object lies on this machine's disk, or None when the storage is elsewhere."""
    try:
        return Path(default_storage.path(name))
    except NotImplementedError:
        return None


def no_room() -> dict[str, object]:
    """What an alert tells of a disk that is as good as full."""
    return {"say": ["no_room"], "reserve_mb": settings.DISK_RESERVE_MB}


def has_room() -> bool:
    """Whether more than the reserve is free where results arrive and, on a local disk, where they stay."""
    reserve = settings.DISK_RESERVE_MB << 20
    places = {_existing(settings.INCOMING_ROOT)}
    if (media := local_path("")) is not None:
        places.add(_existing(media))
    try:
        return all(shutil.disk_usage(place).free > reserve for place in places)
    except OSError:
        return False


def move_in(path: Path, name: str, *, mime_type: str) -> None:
    """Make the file at `path` the object `name`; `path` is gone afterwards. Raises StorageTrouble."""
    with trouble("moving a file into the storage"):
        target = local_path(name)
        if target is None:
            with path.open("rb") as content:
                _upload(content, name, mime_type=mime_type)
            path.unlink()
            return
        if settings.FILE_UPLOAD_PERMISSIONS is not None:
            path.chmod(settings.FILE_UPLOAD_PERMISSIONS)
        target.parent.mkdir(parents=True, exist_ok=True)
        _flush(path)
        try:
            path.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _move_across(path, target)
        _flush(target.parent)


def keep_bytes(content: bytes, name: str, *, mime_type: str) -> None:
    """Make `content` the object `name`. Raises StorageTrouble."""
    with trouble("writing to the storage"):
        settings.INCOMING_ROOT.mkdir(parents=True, exist_ok=True)
        path = settings.INCOMING_ROOT / f"{randomness.token()}.tmp"
        path.write_bytes(content)
    try:
        move_in(path, name, mime_type=mime_type)
    finally:
        path.unlink(missing_ok=True)


def read_bytes(name: str) -> bytes:
    """The whole of a small object. Raises FileNotFoundError, StorageTrouble."""
    with trouble("reading from the storage"):
        if not default_storage.exists(name):
            raise FileNotFoundError(name) from None
        with default_storage.open(name, "rb") as content:
            return bytes(content.read())


def holds(name: str, *, size_bytes: int, sha256: str) -> bool:
    """Whether the object is there and has exactly this content. Raises StorageTrouble."""
    with trouble("reading from the storage"):
        if not default_storage.exists(name) or default_storage.size(name) != size_bytes:
            return False
        with default_storage.open(name, "rb") as content:
            return _digest(content) == sha256


def is_there(name: str) -> bool:
    """Whether there is such an object. Raises StorageTrouble."""
    with trouble("reading from the storage"):
        return default_storage.exists(name)


def delete(name: str) -> None:
    """Remove an object; one that is not there is removed already. Raises StorageTrouble."""
    if name:
        with trouble("deleting from the storage"):
            default_storage.delete(name)


def sha256_of(path: Path) -> str:
    """The hex digest of a file, read in blocks."""
    with path.open("rb") as content:
        return _digest(content)


def _digest(content: "BinaryIO | File[bytes]") -> str:
    digest = hashlib.sha256()
    while block := content.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _upload(content: BinaryIO, name: str, *, mime_type: str) -> None:
    wrapped = File(content, name=name)
    wrapped.content_type = mime_type  # type: ignore[attr-defined]  # what the bucket will serve it as
    kept_as = default_storage.save(name, wrapped)
    if kept_as != name:
        # The random name was taken: our own earlier upload of the same attempt. What we did not name, we do not keep.
        default_storage.delete(kept_as)
        raise OSError(errno.EEXIST, "the name is taken")


def _move_across(path: Path, target: Path) -> None:
    """From another disk: copied beside the target first, so that the target appears whole."""
    beside = target.with_name(f".{target.name}.tmp")
    try:
        shutil.copyfile(path, beside)
        shutil.copymode(path, beside)
        _flush(beside)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Down to the disk: a name that survives a power cut must not lead to a file that did not."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _existing(path: Path) -> Path:
    """The path or its nearest ancestor that is there, for a folder not yet made has its parent's disk."""
    return next((place for place in (path, *path.parents) if place.exists()), Path("/"))


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return f"{errno.errorcode.get(error.errno, error.errno)} {os.strerror(error.errno)}"
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "error"))[:60]
    return type(error).__name__

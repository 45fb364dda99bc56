"""Objects in the media storage, a local folder or S3: they appear whole or not at all, under names nobody can guess.

Knows no rows. Every error of disk or bucket becomes a StorageError: our fault, never the provider's.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage

from accounts.seams import clock, randomness

VIDEOS, POSTERS, IMAGES = "videos", "posters", "images"
FOLDERS = (VIDEOS, POSTERS, IMAGES)

_BLOCK_BYTES = 1 << 20


class StorageError(Exception):
    """The disk is full, a folder cannot be written, or the bucket does not answer; the text is for operators."""

    @property
    def facts(self) -> dict[str, object]:
        """Facts for the alert's message; empty where the system's own text says it all."""
        return {}


class DiskFull(StorageError):
    """Less than the reserve is free."""

    @property
    def facts(self) -> dict[str, object]:
        return disk_full_facts()


@contextmanager
def storage_errors(action: str) -> Iterator[None]:
    """Turn what a disk or a bucket may raise within the block into a StorageError about this action."""
    try:
        yield
    except (OSError, Boto3Error, BotoCoreError, ClientError) as error:
        raise StorageError(f"{action}: {_describe(error)}") from error


def new_name(folder: str, suffix: str) -> str:
    """A name with 256 random bits, e.g. `videos/2026/11/….mp4`."""
    return f"{folder}/{clock.now():%Y/%m}/{randomness.token()}{suffix}"


def local_path(name: str) -> Path | None:
    """Where the object lies on this machine's disk, or None when the storage is elsewhere."""
    try:
        return Path(default_storage.path(name))
    except NotImplementedError:
        return None


def disk_full_facts() -> dict[str, object]:
    """Facts for the alert about a disk with less than the reserve free."""
    return {"say": ["no_room"], "reserve_mb": settings.DISK_RESERVE_MB}


def has_free_space() -> bool:
    """Whether more than the reserve is free where downloads are written and, on a local disk, where media is kept."""
    reserve = settings.DISK_RESERVE_MB << 20
    places = {_nearest_existing(settings.INCOMING_ROOT)}
    if (media := local_path("")) is not None:
        places.add(_nearest_existing(media))
    try:
        return all(shutil.disk_usage(place).free > reserve for place in places)
    except OSError:
        return False


def store_file(path: Path, name: str, *, mime_type: str) -> None:
    """Move the file at `path` into the storage as the object `name`. Raises StorageError."""
    with storage_errors("moving a file into the storage"):
        target = local_path(name)
        if target is None:
            with path.open("rb") as content:
                _upload(content, name, mime_type=mime_type)
            path.unlink()
            return
        if settings.FILE_UPLOAD_PERMISSIONS is not None:
            path.chmod(settings.FILE_UPLOAD_PERMISSIONS)
        target.parent.mkdir(parents=True, exist_ok=True)
        _sync_to_disk(path)
        try:
            path.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _move_across(path, target)
        _sync_to_disk(target.parent)


def store_bytes(content: bytes, name: str, *, mime_type: str) -> None:
    """Store `content` as the object `name`. Raises StorageError."""
    with storage_errors("writing to the storage"):
        settings.INCOMING_ROOT.mkdir(parents=True, exist_ok=True)
        path = settings.INCOMING_ROOT / f"{randomness.token()}.tmp"
        path.write_bytes(content)
    try:
        store_file(path, name, mime_type=mime_type)
    finally:
        path.unlink(missing_ok=True)


def read_bytes(name: str) -> bytes:
    """Read a small object whole. Raises FileNotFoundError, StorageError."""
    with storage_errors("reading from the storage"):
        if not default_storage.exists(name):
            raise FileNotFoundError(name) from None
        with default_storage.open(name, "rb") as content:
            return bytes(content.read())


def matches(name: str, *, size_bytes: int, sha256: str) -> bool:
    """Whether the object exists and has exactly this content. Raises StorageError."""
    with storage_errors("reading from the storage"):
        if not default_storage.exists(name) or default_storage.size(name) != size_bytes:
            return False
        with default_storage.open(name, "rb") as content:
            return _digest(content) == sha256


def exists(name: str) -> bool:
    """Whether the object exists. Raises StorageError."""
    with storage_errors("reading from the storage"):
        return default_storage.exists(name)


def delete(name: str) -> None:
    """Remove an object, if it exists. Raises StorageError."""
    if name:
        with storage_errors("deleting from the storage"):
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
    stored_name = default_storage.save(name, wrapped)
    if stored_name != name:
        # The random name was taken by our own earlier upload of the same attempt.
        default_storage.delete(stored_name)
        raise OSError(errno.EEXIST, "the name is taken")


def _move_across(path: Path, target: Path) -> None:
    """Move from another disk: copied beside the target first, so that the target appears whole."""
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        shutil.copyfile(path, temporary)
        shutil.copymode(path, temporary)
        _sync_to_disk(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _sync_to_disk(path: Path) -> None:
    """Flush to the disk, so that after a power cut no name leads to a file that was not written."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _nearest_existing(path: Path) -> Path:
    """The path or its nearest ancestor that exists: a folder not yet made is on its parent's disk."""
    return next((place for place in (path, *path.parents) if place.exists()), Path("/"))


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return f"{errno.errorcode.get(error.errno, error.errno)} {os.strerror(error.errno)}"
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "error"))[:60]
    return type(error).__name__

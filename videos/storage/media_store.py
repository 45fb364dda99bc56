"""Stores objects (video, poster and image files) in a local folder or in S3, under names that cannot be guessed.

An object is never visible before it is complete. Every error of the disk or the bucket becomes a StorageError, so that it
is not mistaken for a failure of the provider. Does not use the database.
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
    """The disk is full, a folder cannot be written, or the bucket does not respond; the text is for operators."""

    @property
    def facts(self) -> dict[str, object]:
        """Facts from which the alert's message is built; empty if the alert shows the text of the exception instead."""
        return {}


class DiskFull(StorageError):
    """The disk has less free space than the setting DISK_RESERVE_MB requires."""

    @property
    def facts(self) -> dict[str, object]:
        return disk_full_facts()


@contextmanager
def storage_errors(action: str) -> Iterator[None]:
    """Turn errors of the disk or the bucket in the block into a StorageError; `action` says what was being done."""
    try:
        yield
    except (OSError, Boto3Error, BotoCoreError, ClientError) as error:
        raise StorageError(f"{action}: {_describe(error)}") from error


def new_name(folder: str, suffix: str) -> str:
    """A name with 256 random bits, e.g. `videos/2026/11/….mp4`."""
    return f"{folder}/{clock.now():%Y/%m}/{randomness.token()}{suffix}"


def local_path(name: str) -> Path | None:
    """The path of the object on the local disk, or None if objects are stored in S3."""
    try:
        return Path(default_storage.path(name))
    except NotImplementedError:
        return None


def disk_full_facts() -> dict[str, object]:
    """Facts for the alert about too little free space on the disk."""
    return {"say": ["no_room"], "reserve_mb": settings.DISK_RESERVE_MB}


def has_free_space() -> bool:
    """Whether more than the reserve is free where downloads are written and, on a local disk, where media is kept."""
    reserve = settings.DISK_RESERVE_MB << 20
    folders = {_nearest_existing(settings.INCOMING_ROOT)}
    if (media := local_path("")) is not None:
        folders.add(_nearest_existing(media))
    try:
        return all(shutil.disk_usage(folder).free > reserve for folder in folders)
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
            _move_from_other_disk(path, target)
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
    """Whether the object exists and has exactly this size and hash. Raises StorageError."""
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
    """The SHA-256 of a file as hex digits; the file is read in blocks."""
    with path.open("rb") as content:
        return _digest(content)


def _digest(content: "BinaryIO | File[bytes]") -> str:
    digest = hashlib.sha256()
    while block := content.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _upload(content: BinaryIO, name: str, *, mime_type: str) -> None:
    wrapped = File(content, name=name)
    wrapped.content_type = mime_type  # type: ignore[attr-defined]  # the storage sends it to the bucket as Content-Type
    stored_name = default_storage.save(name, wrapped)
    if stored_name != name:
        # The name is random, so only an earlier upload by the same attempt can have used it.
        default_storage.delete(stored_name)
        raise OSError(errno.EEXIST, "the name is taken")


def _move_from_other_disk(path: Path, target: Path) -> None:
    """Move a file that is on another disk than the target.

    A temporary copy is made beside the target and then renamed, so that the target never exists half-written.
    """
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
    """Flush what was written to the disk, so that after a power cut no name points to an incomplete file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _nearest_existing(path: Path) -> Path:
    """The path or its nearest existing ancestor: a folder that does not exist yet will be on its parent's disk."""
    return next((folder for folder in (path, *path.parents) if folder.exists()), Path("/"))


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return f"{errno.errorcode.get(error.errno, error.errno)} {os.strerror(error.errno)}"
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "error"))[:60]
    return type(error).__name__

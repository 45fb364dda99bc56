"""Deletes stored files: the files of a deleted task immediately, and files left behind by a crash in a regular sweep.

It never changes credits or the status of a task.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils.timezone import is_naive

from videos.models import SourceImage, VideoFile, VideoTask
from videos.storage import media_store, partial_downloads

log = logging.getLogger(__name__)

State = VideoFile.State

KEEP_FOR = timedelta(hours=24)
# A sweep checks at most this many objects. The next day's sweep begins in another folder, so it reaches the rest.
MAX_OBJECTS_PER_SWEEP = 20_000
BATCH_SIZE = 500


def delete_files(task: VideoTask) -> int:
    """Mark the files of this task as deleted; returns how many. Their objects are removed after the commit.

    A running download notices that the `fence` number of its row has changed, and removes what it wrote.
    """
    files = VideoFile.objects.filter(task=task).exclude(state=State.DELETED)
    file_ids = list(files.values_list("pk", flat=True))
    marked = files.filter(pk__in=file_ids).update(
        state=State.DELETED, fence=F("fence") + 1, lease_until=None, source_url="", fetch_url=""
    )
    transaction.on_commit(lambda: _remove(VideoFile.objects.filter(pk__in=file_ids)))
    return marked


def sweep_files(now: datetime) -> int:
    """Remove unneeded partial downloads, objects of deleted files, and objects that no row names; returns how many."""
    removed = _remove(VideoFile.objects.filter(state=State.DELETED).exclude(name="", poster_name=""))
    try:
        return removed + _sweep_incoming(now) + _sweep_storage(now)
    except media_store.StorageError as error:
        log.warning("the sweep of files ended early: %s", error)
        return removed


def _remove(files: QuerySet[VideoFile]) -> int:
    """Delete the objects of deleted files and clear their names; if an object cannot be deleted, the sweep tries again."""
    removed = 0
    for file in files.filter(state=State.DELETED)[:BATCH_SIZE]:
        try:
            media_store.delete(file.name)
            media_store.delete(file.poster_name)
        except media_store.StorageError as error:
            log.warning("%s stays until the sweep: %s", file, error)
            continue
        removed += VideoFile.objects.filter(pk=file.pk, state=State.DELETED).update(name="", poster_name="")
    return removed


def _sweep_incoming(now: datetime) -> int:
    removed = 0
    with media_store.storage_errors("removing old downloads"):
        for path, key in partial_downloads.list_all():
            try:
                is_old = now - datetime.fromtimestamp(path.stat().st_mtime, UTC) > KEEP_FOR
            except FileNotFoundError:
                continue
            # `key` is the (task id, index) in the file's name. A recent file may belong to a running download, unless
            # its VideoFile is no longer pending.
            if is_old or (key is not None and not _is_pending(*key)):
                path.unlink(missing_ok=True)
                removed += 1
    return removed


def _is_pending(task_id: UUID, index: int) -> bool:
    return VideoFile.objects.filter(task_id=task_id, index=index, state=State.PENDING).exists()


def list_strays(now: datetime, *, older_than: timedelta = KEEP_FOR) -> Iterator[str]:
    """Stored objects that no row names and that are older than `older_than`; checks at most MAX_OBJECTS_PER_SWEEP."""
    names = _list_names(now)
    for _ in range(MAX_OBJECTS_PER_SWEEP // BATCH_SIZE):
        batch = [name for _, name in zip(range(BATCH_SIZE), names, strict=False)]
        for name in sorted(set(batch) - _names_in_rows(batch)):
            if _is_older(name, now, older_than):
                yield name
        if len(batch) < BATCH_SIZE:
            return


def _sweep_storage(now: datetime) -> int:
    removed = 0
    for name in list_strays(now):
        media_store.delete(name)
        removed += 1
    if removed:
        log.warning("%d objects without a row were removed", removed)
    return removed


def _list_names(now: datetime) -> Iterator[str]:
    """Every stored name, folder by folder. The first folder changes daily, so that limited sweeps reach all folders."""
    folders = [
        f"{folder}/{year}/{month}"
        for folder in media_store.FOLDERS
        for year in _list_folder(folder)[0]
        for month in _list_folder(f"{folder}/{year}")[0]
    ]
    start = now.toordinal() % len(folders) if folders else 0
    for folder in folders[start:] + folders[:start]:
        for name in _list_folder(folder)[1]:
            yield f"{folder}/{name}"


def _list_folder(folder: str) -> tuple[list[str], list[str]]:
    """The (folders, files) in a folder, sorted; both empty if it does not exist."""
    with media_store.storage_errors("listing the storage"):
        try:
            folders, files = default_storage.listdir(folder)
        except FileNotFoundError:
            return [], []
    return sorted(folders), sorted(files)


def _names_in_rows(names: list[str]) -> set[str]:
    return {
        *VideoFile.objects.filter(name__in=names).values_list("name", flat=True),
        *VideoFile.objects.filter(poster_name__in=names).values_list("poster_name", flat=True),
        *SourceImage.objects.filter(name__in=names).values_list("name", flat=True),
    }


def _is_older(name: str, now: datetime, older_than: timedelta) -> bool:
    with media_store.storage_errors("reading from the storage"):
        try:
            changed_at = default_storage.get_modified_time(name)
        except FileNotFoundError:
            return False
    return now - (changed_at.replace(tzinfo=UTC) if is_naive(changed_at) else changed_at) > older_than

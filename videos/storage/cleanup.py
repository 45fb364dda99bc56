"""Takes stored files away: of a deleted task at once, and whatever a crash left behind, later. Knows no money and no status."""

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

KEPT_FOR = timedelta(hours=24)
# One sweep looks at so many objects at most; the next day's begins in another folder.
WALK_AT_MOST = 20_000
BATCH = 500


def delete_files(task: VideoTask) -> int:
    """Mark this task's files as deleted, now, and remove what is stored once the transaction around has committed.

    A download that is under way finds its fence gone and clears up after itself. Returns how many files it were.
    """
    files = VideoFile.objects.filter(task=task).exclude(state=State.DELETED)
    file_ids = list(files.values_list("pk", flat=True))
    marked = files.filter(pk__in=file_ids).update(
        state=State.DELETED, fence=F("fence") + 1, lease_until=None, source_url="", fetch_url=""
    )
    transaction.on_commit(lambda: _remove(VideoFile.objects.filter(pk__in=file_ids)))
    return marked


def sweep_files(now: datetime) -> int:
    """Remove what nobody needs: parts older than a day or of files no longer awaited, objects without a row. Returns how many."""
    removed = _remove(VideoFile.objects.filter(state=State.DELETED).exclude(name="", poster_name=""))
    try:
        return removed + _sweep_incoming(now) + _sweep_storage(now)
    except media_store.StorageTrouble as problem:
        log.warning("the sweep of files ended early: %s", problem)
        return removed


def _remove(files: QuerySet[VideoFile]) -> int:
    """Delete the objects of files marked so, and only then forget their names; a failure leaves the name for the sweep."""
    removed = 0
    for file in files.filter(state=State.DELETED)[:BATCH]:
        try:
            media_store.delete(file.name)
            media_store.delete(file.poster_name)
        except media_store.StorageTrouble as problem:
            log.warning("%s stays until the sweep: %s", file, problem)
            continue
        removed += VideoFile.objects.filter(pk=file.pk, state=State.DELETED).update(name="", poster_name="")
    return removed


def _sweep_incoming(now: datetime) -> int:
    removed = 0
    with media_store.trouble("sweeping arrived files"):
        for path, told in partial_downloads.leftovers():
            try:
                aged = now - datetime.fromtimestamp(path.stat().st_mtime, UTC) > KEPT_FOR
            except FileNotFoundError:
                continue
            # A fresh file of a task that is done with is a leftover too; any other may be somebody's work.
            if aged or (told is not None and not _is_awaited(*told)):
                path.unlink(missing_ok=True)
                removed += 1
    return removed


def _is_awaited(task_id: UUID, index: int) -> bool:
    return VideoFile.objects.filter(task_id=task_id, index=index, state=State.PENDING).exists()


def strays(now: datetime, *, older_than: timedelta = KEPT_FOR) -> Iterator[str]:
    """Stored objects that no row speaks of and that are too old to be just arriving; looks at WALK_AT_MOST objects."""
    names = _names(now)
    for _ in range(WALK_AT_MOST // BATCH):
        batch = [name for _, name in zip(range(BATCH), names, strict=False)]
        for name in sorted(set(batch) - _known(batch)):
            if _is_aged(name, now, older_than):
                yield name
        if len(batch) < BATCH:
            return


def _sweep_storage(now: datetime) -> int:
    removed = 0
    for name in strays(now):
        media_store.delete(name)
        removed += 1
    if removed:
        log.warning("%d objects without a row were removed", removed)
    return removed


def _names(now: datetime) -> Iterator[str]:
    """Every stored name, folder by folder, each day beginning with another folder so that a bounded walk sees them all."""
    folders = [
        f"{folder}/{year}/{month}"
        for folder in media_store.FOLDERS
        for year in _listed(folder)[0]
        for month in _listed(f"{folder}/{year}")[0]
    ]
    start = now.toordinal() % len(folders) if folders else 0
    for folder in folders[start:] + folders[:start]:
        for name in _listed(folder)[1]:
            yield f"{folder}/{name}"


def _listed(folder: str) -> tuple[list[str], list[str]]:
    """(folders, files), sorted; a folder that is not there is empty."""
    with media_store.trouble("listing the storage"):
        try:
            folders, files = default_storage.listdir(folder)
        except FileNotFoundError:
            return [], []
    return sorted(folders), sorted(files)


def _known(names: list[str]) -> set[str]:
    return {
        *VideoFile.objects.filter(name__in=names).values_list("name", flat=True),
        *VideoFile.objects.filter(poster_name__in=names).values_list("poster_name", flat=True),
        *SourceImage.objects.filter(name__in=names).values_list("name", flat=True),
    }


def _is_aged(name: str, now: datetime, older_than: timedelta) -> bool:
    with media_store.trouble("reading from the storage"):
        try:
            changed_at = default_storage.get_modified_time(name)
        except FileNotFoundError:
            return False
    return now - (changed_at.replace(tzinfo=UTC) if is_naive(changed_at) else changed_at) > older_than

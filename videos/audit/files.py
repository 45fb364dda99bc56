"""Invariants I7 and I15: every row's file is stored, complete and used once, and no other files are stored.

The storage may be remote and large, so the frequent check looks at some files only: those with a problem, those never
checked, and those checked longest ago. Each row keeps its last result, so every check reports a missing file until the file
has been found again, even if that check did not look at it.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.files.storage import default_storage
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from accounts.seams import clock
from billing.audit.runner import Coverage, Problem
from billing.models import FileAnswer
from billing.reconciliation import file_discrepancies
from videos.models import SourceImage, VideoFile, VideoTask
from videos.storage import cleanup as storage_cleanup
from videos.storage import media_store, partial_downloads

Status = VideoTask.Status
State = VideoFile.State

# The worker deletes unneeded files every half hour; one that was due for deletion more than an hour ago is left over.
LEFT_OVER_AFTER = storage_cleanup.KEEP_FOR + timedelta(hours=1)
# Limits of one frequent check, applied to videos and to images separately. The worker runs it every 15 minutes, so it
# can reach 96,000 files of each kind a day. Files with a known problem are checked again within limits of their own.
MAX_CHECKED, TIME_LIMIT = 1_000, timedelta(seconds=45)
MAX_RECHECKED, RECHECK_TIME_LIMIT = 100, timedelta(seconds=15)
BATCH = 200


def check_all_files(*, deep: bool) -> Iterator[Problem | Coverage]:
    """I7, I15: look for every row's file and for files without a row. `deep` also compares the hash of each file."""
    yield from _check_files(is_frequent=False, deep=deep)


def check_some_files(*, deep: bool) -> Iterator[Problem | Coverage]:
    """I7, I15 in limited time: compare only some of the rows, those checked longest ago first."""
    yield from _check_files(is_frequent=True, deep=deep)


def _check_files(*, is_frequent: bool, deep: bool) -> Iterator[Problem | Coverage]:
    yield from _find_missing_files()
    yield from _find_duplicate_names()
    videos, images = VideoFile.objects.filter(state=State.STORED), SourceImage.objects.all()
    try:
        for label, rows in (("video files", videos), ("images", images)):
            yield Coverage(label, _check_rows(rows, is_frequent=is_frequent, deep=deep), rows.count())
        yield from _find_strays()
    except media_store.StorageError as problem:
        yield Problem("I7", "storage", f"cannot be read: {problem}")
    # A problem that an operator has explained (a FileAnswer) is not reported again.
    explained = file_discrepancies.list_answered(FileAnswer.Kind.MISSING)
    for video in videos.exclude(problem=""):
        if f"video:{video.task_id}" in explained:
            continue
        yield Problem("I7", f"video:{video.task_id}", f"{video.name}: {video.problem}")
    for image in images.exclude(problem=""):
        yield Problem("I7", f"image:{image.pk}", f"{image.name}: {image.problem}")


def _find_missing_files() -> Iterable[Problem]:
    files = VideoFile.objects.filter(task=OuterRef("pk"))
    delivered = VideoTask.objects.filter(Q(status=Status.READY) | Q(late_at__isnull=False), deleted_at=None)
    missing = delivered.filter(~Exists(files) | Exists(files.exclude(state=State.STORED)))
    for task in missing.values_list("pk", flat=True):
        yield Problem("I7", f"video:{task}", "delivered, but not every file of it is stored")


def _find_duplicate_names() -> Iterable[Problem]:
    for field in ("name", "poster_name"):
        names = VideoFile.objects.exclude(**{field: ""}).order_by().values(field).annotate(rows=Count("pk"))
        for name, rows in names.filter(rows__gt=1).values_list(field, "rows"):
            yield Problem("I15", name, f"is the file of {rows} rows")


def _check_rows(rows: QuerySet[Any], *, is_frequent: bool, deep: bool) -> int:
    """Check these rows' files in the storage and record the results; returns how many rows. Raises StorageError."""
    oldest_first = rows.order_by(F("checked_at").asc(nulls_first=True), "pk").values_list("pk", flat=True)
    if not is_frequent:
        return _check_batches(rows, list(oldest_first), deep=deep, until=None)
    with_problem, others = (
        oldest_first.exclude(problem="")[:MAX_RECHECKED],
        oldest_first.filter(problem="")[:MAX_CHECKED],
    )
    rechecked = _check_batches(rows, list(with_problem), deep=deep, until=clock.now() + RECHECK_TIME_LIMIT)
    return rechecked + _check_batches(rows, list(others), deep=deep, until=clock.now() + TIME_LIMIT)


def _check_batches(rows: QuerySet[Any], pks: list[Any], *, deep: bool, until: datetime | None) -> int:
    checked = 0
    for start in range(0, len(pks), BATCH):
        batch = pks[start : start + BATCH]
        rows_by_pk, without_problem = rows.in_bulk(batch), []
        try:
            for row in (rows_by_pk[pk] for pk in batch if pk in rows_by_pk):
                if until is not None and clock.now() > until:
                    return checked
                # A problem that only a deep check found can be cleared only by a deep check.
                problem = _describe_problem(row, deep=deep or bool(row.problem))
                checked += 1
                if problem:
                    # Matched by name too, because the owner may have deleted the file meanwhile.
                    rows.filter(pk=row.pk, name=row.name).update(checked_at=clock.now(), problem=problem)
                else:
                    without_problem.append(row.pk)
        finally:
            rows.filter(pk__in=without_problem).update(checked_at=clock.now(), problem="")
    return checked


def _describe_problem(row: VideoFile | SourceImage, *, deep: bool) -> str:
    with media_store.storage_errors("reading from the storage"):
        try:
            size = default_storage.size(row.name)
        except FileNotFoundError:
            return "is not there"
    if size != row.size_bytes:
        return f"has {size} bytes, not {row.size_bytes}"
    if deep and not media_store.matches(row.name, size_bytes=size, sha256=row.sha256):
        return "has another hash than when it was checked"
    if isinstance(row, VideoFile) and not media_store.exists(row.poster_name):
        return "its poster is not there"
    return ""


def _find_strays() -> Iterable[Problem]:
    at = clock.now()
    with media_store.storage_errors("listing partial downloads"):
        for path, _ in partial_downloads.list_all():
            try:
                changed_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            except FileNotFoundError:
                continue
            if at - changed_at > LEFT_OVER_AFTER:
                yield Problem("I15", path.name, f"a partial download left over since {changed_at:%Y-%m-%d %H:%M}")
    explained = file_discrepancies.list_answered(FileAnswer.Kind.STRAY)
    for name in storage_cleanup.list_strays(at, older_than=LEFT_OVER_AFTER):
        if name in explained:
            continue
        yield Problem("I15", name, "is stored, but no row refers to it")

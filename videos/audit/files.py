"""Invariants I7 and I15: every row's file is stored, complete and used once, and no other files are stored.

The storage may be remote and large, so the frequent check asks for some files only: those with a problem, those never
checked, and those checked longest ago. Each row keeps its last result, so a missing file is reported by every check until
it is there again, whichever files that check asked for.
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

# The sweep runs every half hour; a file that it has not deleted an hour after its time is left over.
LEFT_OVER_AFTER = storage_cleanup.KEEP_FOR + timedelta(hours=1)
# Limits of one frequent check, for videos and again for images: 96,000 of each a day.
MAX_CHECKED, TIME_LIMIT = 1_000, timedelta(seconds=45)
MAX_RECHECKED, RECHECK_TIME_LIMIT = 100, timedelta(seconds=15)
BATCH = 200


def check_all_files(*, deep: bool) -> Iterator[Problem | Coverage]:
    """I7, I15: compare all rows with the files, both ways. `deep` also reads every video and compares its hash."""
    yield from _check_files(often=False, deep=deep)


def check_some_files(*, deep: bool) -> Iterator[Problem | Coverage]:
    """The same in limited time: only some of the files, in turn."""
    yield from _check_files(often=True, deep=deep)


def _check_files(*, often: bool, deep: bool) -> Iterator[Problem | Coverage]:
    yield from _find_missing_files()
    yield from _find_duplicate_names()
    films, images = VideoFile.objects.filter(state=State.STORED), SourceImage.objects.all()
    try:
        for what, rows in (("video files", films), ("images", images)):
            yield Coverage(what, _check_rows(rows, often=often, deep=deep), rows.count())
        yield from _find_strays()
    except media_store.StorageError as problem:
        yield Problem("I7", "storage", f"cannot be read: {problem}")
    # Problems that an operator has answered are not reported again.
    answered = file_discrepancies.list_answered(FileAnswer.Kind.MISSING)
    for film in films.exclude(problem=""):
        if f"video:{film.task_id}" in answered:
            continue
        yield Problem("I7", f"video:{film.task_id}", f"{film.name}: {film.problem}")
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


def _check_rows(rows: QuerySet[Any], *, often: bool, deep: bool) -> int:
    """Ask the storage for these rows' files and record the results; returns how many. Raises StorageError."""
    turn = rows.order_by(F("checked_at").asc(nulls_first=True), "pk").values_list("pk", flat=True)
    if not often:
        return _check_batches(rows, list(turn), deep=deep, until=None)
    wrong, others = turn.exclude(problem="")[:MAX_RECHECKED], turn.filter(problem="")[:MAX_CHECKED]
    again = _check_batches(rows, list(wrong), deep=deep, until=clock.now() + RECHECK_TIME_LIMIT)
    return again + _check_batches(rows, list(others), deep=deep, until=clock.now() + TIME_LIMIT)


def _check_batches(rows: QuerySet[Any], pks: list[Any], *, deep: bool, until: datetime | None) -> int:
    asked = 0
    for start in range(0, len(pks), BATCH):
        batch = pks[start : start + BATCH]
        found, sound = rows.in_bulk(batch), []
        try:
            for row in (found[pk] for pk in batch if pk in found):
                if until is not None and clock.now() > until:
                    return asked
                # A problem that only a deep check found can be cleared only by a deep check.
                text = _describe_problem(row, deep=deep or bool(row.problem))
                asked += 1
                if text:
                    # Compared by name, because its owner may have deleted it meanwhile.
                    rows.filter(pk=row.pk, name=row.name).update(checked_at=clock.now(), problem=text)
                else:
                    sound.append(row.pk)
        finally:
            rows.filter(pk__in=sound).update(checked_at=clock.now(), problem="")
    return asked


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
    with media_store.storage_errors("looking through arrived files"):
        for path, _ in partial_downloads.list_all():
            try:
                changed_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            except FileNotFoundError:
                continue
            if at - changed_at > LEFT_OVER_AFTER:
                yield Problem("I15", path.name, f"a part left over since {changed_at:%Y-%m-%d %H:%M}")
    answered = file_discrepancies.list_answered(FileAnswer.Kind.STRAY)
    for name in storage_cleanup.list_strays(at, older_than=LEFT_OVER_AFTER):
        if name in answered:
            continue
        yield Problem("I15", name, "is stored, but no row speaks of it")

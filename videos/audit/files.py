"""I7 and I15: what rows say is stored is stored, whole, once; and nothing else lies about. Part of `videos.audit.checks`.

A storage may be far away and hold very much, so the looks that come often ask it for some files only: those that were
wrong, those never looked for, and those not looked for for longest. Each row keeps what the last look found of it, so
that a file which is gone is a problem in every look until it is there again, whichever files that look asked for.
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

# The sweep comes by every half hour; what it has not taken an hour after its time is left over.
LEFT_OVER_AFTER = storage_cleanup.KEEP_FOR + timedelta(hours=1)
# What a frequent look asks for at most, of videos and again of images: 96,000 of each in a day.
AT_MOST, WITHIN = 1_000, timedelta(seconds=45)
AGAIN_AT_MOST, AGAIN_WITHIN = 100, timedelta(seconds=15)
BATCH = 200


def stored_and_whole(*, deep: bool) -> Iterator[Problem | Coverage]:
    """I7, I15: rows against files, both ways, all of them. `deep` reads every film and compares its hash."""
    yield from _checked(often=False, deep=deep)


def stored_lately(*, deep: bool) -> Iterator[Problem | Coverage]:
    """The same, in bounded time: of the files only some, each in its turn."""
    yield from _checked(often=True, deep=deep)


def _checked(*, often: bool, deep: bool) -> Iterator[Problem | Coverage]:
    yield from _delivered_without_film()
    yield from _used_twice()
    films, images = VideoFile.objects.filter(state=State.STORED), SourceImage.objects.all()
    try:
        for what, rows in (("video files", films), ("images", images)):
            yield Coverage(what, _look(rows, often=often, deep=deep), rows.count())
        yield from _left_over()
    except media_store.StorageError as problem:
        yield Problem("I7", "storage", f"cannot be read: {problem}")
    # What an operator has answered for is known, and no news in any further look.
    answered = file_discrepancies.list_answered(FileAnswer.Kind.MISSING)
    for film in films.exclude(wrong=""):
        if f"video:{film.task_id}" in answered:
            continue
        yield Problem("I7", f"video:{film.task_id}", f"{film.name}: {film.wrong}")
    for image in images.exclude(wrong=""):
        yield Problem("I7", f"image:{image.pk}", f"{image.name}: {image.wrong}")


def _delivered_without_film() -> Iterable[Problem]:
    files = VideoFile.objects.filter(task=OuterRef("pk"))
    delivered = VideoTask.objects.filter(Q(status=Status.READY) | Q(late_at__isnull=False), deleted_at=None)
    missing = delivered.filter(~Exists(files) | Exists(files.exclude(state=State.STORED)))
    for task in missing.values_list("pk", flat=True):
        yield Problem("I7", f"video:{task}", "delivered, but not every file of it is stored")


def _used_twice() -> Iterable[Problem]:
    for field in ("name", "poster_name"):
        names = VideoFile.objects.exclude(**{field: ""}).order_by().values(field).annotate(rows=Count("pk"))
        for name, rows in names.filter(rows__gt=1).values_list(field, "rows"):
            yield Problem("I15", name, f"is the file of {rows} rows")


def _look(rows: QuerySet[Any], *, often: bool, deep: bool) -> int:
    """Ask the storage for these rows' files and note what it says; returns for how many. Raises StorageError."""
    turn = rows.order_by(F("looked_at").asc(nulls_first=True), "pk").values_list("pk", flat=True)
    if not often:
        return _ask_for(rows, list(turn), deep=deep, until=None)
    wrong, others = turn.exclude(wrong="")[:AGAIN_AT_MOST], turn.filter(wrong="")[:AT_MOST]
    again = _ask_for(rows, list(wrong), deep=deep, until=clock.now() + AGAIN_WITHIN)
    return again + _ask_for(rows, list(others), deep=deep, until=clock.now() + WITHIN)


def _ask_for(rows: QuerySet[Any], pks: list[Any], *, deep: bool, until: datetime | None) -> int:
    asked = 0
    for start in range(0, len(pks), BATCH):
        batch = pks[start : start + BATCH]
        found, sound = rows.in_bulk(batch), []
        try:
            for row in (found[pk] for pk in batch if pk in found):
                if until is not None and clock.now() > until:
                    return asked
                # Where only reading all of it showed what was wrong, only that can show that it is right again.
                text = _wrong_with(row, deep=deep or bool(row.wrong))
                asked += 1
                if text:
                    # Its owner may have deleted it while we looked.
                    rows.filter(pk=row.pk, name=row.name).update(looked_at=clock.now(), wrong=text)
                else:
                    sound.append(row.pk)
        finally:
            rows.filter(pk__in=sound).update(looked_at=clock.now(), wrong="")
    return asked


def _wrong_with(row: VideoFile | SourceImage, *, deep: bool) -> str:
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


def _left_over() -> Iterable[Problem]:
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

"""I7 and I15: what rows say is stored is stored, whole, once; and nothing else lies about. Part of `videos.book_checks`."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from django.core.files.storage import default_storage
from django.db.models import Count, Exists, OuterRef, Q

from accounts.doors import clock
from billing.books import Problem
from videos import incoming, removal, storing
from videos.models import SourceImage, VideoFile, VideoTask

Status = VideoTask.Status
State = VideoFile.State

# The sweep comes by every half hour; what it has not taken an hour after its time is left over.
LEFT_OVER_AFTER = removal.KEPT_FOR + timedelta(hours=1)


def stored_and_whole(*, deep: bool) -> Iterator[Problem]:
    """I7, I15: rows against files, both ways. `deep` reads every film and compares its hash."""
    yield from _delivered_without_film()
    yield from _used_twice()
    try:
        yield from _not_as_said(deep=deep)
        yield from _left_over()
    except storing.StorageTrouble as problem:
        yield Problem("I7", "storage", f"cannot be read: {problem}")


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


def _not_as_said(*, deep: bool) -> Iterable[Problem]:
    for file in VideoFile.objects.filter(state=State.STORED).iterator():
        text = _wrong_with(file.name, size_bytes=file.size_bytes or 0, sha256=file.sha256 if deep else "")
        if not text and not storing.is_there(file.poster_name):
            text = "its poster is not there"
        # Its owner may have deleted it while we looked.
        if text and VideoFile.objects.filter(pk=file.pk, state=State.STORED, name=file.name).exists():
            yield Problem("I7", f"video:{file.task_id}", f"{file.name}: {text}")
    for image in SourceImage.objects.iterator():
        text = _wrong_with(image.name, size_bytes=image.size_bytes, sha256=image.sha256 if deep else "")
        if text and SourceImage.objects.filter(pk=image.pk).exists():
            yield Problem("I7", f"image:{image.pk}", f"{image.name}: {text}")


def _wrong_with(name: str, *, size_bytes: int, sha256: str) -> str:
    with storing.trouble("reading from the storage"):
        if not default_storage.exists(name):
            return "is not there"
        if (size := default_storage.size(name)) != size_bytes:
            return f"has {size} bytes, not {size_bytes}"
    if sha256 and not storing.holds(name, size_bytes=size_bytes, sha256=sha256):
        return "has another hash than when it was checked"
    return ""


def _left_over() -> Iterable[Problem]:
    at = clock.now()
    with storing.trouble("looking through arrived files"):
        for path, _ in incoming.leftovers():
            try:
                changed_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            except FileNotFoundError:
                continue
            if at - changed_at > LEFT_OVER_AFTER:
                yield Problem("I15", path.name, f"a part left over since {changed_at:%Y-%m-%d %H:%M}")
    for name in removal.strays(at, older_than=LEFT_OVER_AFTER):
        yield Problem("I15", name, "is stored, but no row speaks of it")

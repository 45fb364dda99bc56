"""What the provider was paid for against what we hold: videos, their rows, their files. The third side of reconciliation.

Counted by the database, however long the stretch: rows are read only of the few videos that a page names, and of the
newest files, which are looked for on the disk.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from billing.models import BooksRun, FileAnswer, ProviderAccount, Spend
from billing.reconciliation import file_discrepancies
from videos.lifecycle.transitions import reference_of, task_id_of
from videos.models import VideoFile, VideoTask
from videos.storage import media_store

State = VideoFile.State
Kind = FileAnswer.Kind
ZERO = Decimal(0)
PREFIX = "video:"

# Videos whose files are looked for on the disk for one page, the newest; a look at the books sees all of them.
MOST_CHECKED = 2_000
# Videos named for each kind of difference, and answers shown.
MOST_NAMED = 8
MOST_ANSWERS = 20


@dataclass
class Difference:
    """Videos whose three sides do not agree, all in the same way, and which nobody has answered."""

    kind: Kind
    count: int
    provider_credits: Decimal = ZERO
    tasks: list[VideoTask] = field(default_factory=list)  # the newest of them
    names: list[str] = field(default_factory=list)  # files that are no video's

    @property
    def words(self) -> str:
        return str(self.kind.label)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The videos whose cost became known within a stretch of time."""

    delivered: int
    files: int
    size_bytes: int
    deleted: int  # files that their owner, or their age, took away
    checked: int  # files looked for on the disk
    differences: list[Difference]
    answered: int
    answers: list[FileAnswer]  # the newest of them

    @property
    def agree(self) -> bool:
        return not self.differences


class Files:
    """One account's videos whose cost became known after `after` and up to `until`; `run` is the last look at the books."""

    def __init__(
        self, *, account: ProviderAccount, after: datetime, until: datetime, run: BooksRun | None = None
    ) -> None:
        self.paid = Spend.objects.filter(
            account=account, state=Spend.State.SETTLED, settled_at__gt=after, settled_at__lte=until
        )
        self._problems = run.first_problems if run else []

    def kept(self) -> Kept:
        """What there is to show of them all."""
        files = VideoFile.objects.filter(task__in=self.paid.values("job_id")).order_by().values("state")
        sums = {
            state: (videos, count, size)
            for state, videos, count, size in files.annotate(
                videos=Count("task", distinct=True), files=Count("pk"), size=Coalesce(Sum("size_bytes"), 0)
            ).values_list("state", "videos", "files", "size")
        }
        delivered, stored, size_bytes = sums.get(State.STORED, (0, 0, 0))
        answers = self._answers()
        return Kept(
            delivered=delivered,
            files=stored,
            size_bytes=size_bytes,
            deleted=sums.get(State.DELETED, (0, 0, 0))[1],
            checked=len(self._checked),
            differences=[one for one in map(self._difference, Kind) if one.count],
            answered=answers.count(),
            answers=list(answers.select_related("actor")[:MOST_ANSWERS]),
        )

    def still_open(self, kind: Kind, references: Collection[str]) -> list[str]:
        """Those of these references that differ so and have no answer yet."""
        if kind == Kind.STRAY:
            return [name for name in self._strays if name in references]
        ids = [task_id for reference in references if (task_id := task_id_of(reference)) is not None]
        found = self.differing(kind).filter(job_id__in=ids).values_list("job_id", flat=True)
        return [reference_of(task_id) for task_id in found]

    def differing(self, kind: Kind) -> QuerySet[Any]:
        """The videos that differ in this way and are not answered, newest first. Each differs in one way at most."""
        answered = FileAnswer.objects.filter(kind=kind, job_id=OuterRef("job_id"))
        found = self.paid.filter(~Exists(answered)).order_by("-settled_at", "-pk")
        if kind == Kind.MISSING:
            return found.filter(job_id__in=self._gone)
        found = found.exclude(job_id__in=self._gone) if self._gone else found
        late = _of(VideoTask.objects.filter(late_at__isnull=False), "pk")
        if kind == Kind.LATE:
            return found.filter(late, _having(State.STORED))
        if kind == Kind.UNPAID_FILE:
            return found.filter(_having(State.STORED), ~late, actual=0)
        # What is still on its way has no file yet, and what was taken away has none any more.
        final = _of(VideoTask.objects.filter(status__in=VideoTask.FINAL), "pk")
        return found.filter(final, ~_having(State.STORED, State.DELETED), actual__gt=0)

    def _difference(self, kind: Kind) -> Difference:
        if kind == Kind.STRAY:
            return Difference(kind, len(self._strays), names=self._strays[:MOST_NAMED])
        found = self.differing(kind)
        sums = found.order_by().aggregate(count=Count("pk"), cost=Coalesce(Sum("actual"), ZERO))
        difference = Difference(kind, sums["count"], sums["cost"])
        if difference.count:
            named = list(found.values_list("job_id", flat=True)[:MOST_NAMED])
            tasks = VideoTask.objects.select_related("user").in_bulk(named)
            difference.tasks = [tasks[pk] for pk in named if pk in tasks]
        return difference

    def _answers(self) -> QuerySet[FileAnswer]:
        """What was said of these videos, and of files that the books still find."""
        mine = Q(Exists(self.paid.filter(job_id=OuterRef("job_id"))))
        return FileAnswer.objects.filter(mine | Q(kind=Kind.STRAY, reference__in=self._told("I15")))

    @cached_property
    def _checked(self) -> Sequence[tuple[UUID, str, int]]:
        """Task, name and size of the newest files that lie where we can look for them."""
        newest = self.paid.filter(_having(State.STORED)).order_by("-settled_at", "-pk")
        tasks = list(newest.values_list("job_id", flat=True)[:MOST_CHECKED])
        rows = VideoFile.objects.filter(task__in=tasks, state=State.STORED).order_by()
        found = rows.values_list("task_id", "name", "size_bytes")
        return [(pk, name, size or 0) for pk, name, size in found if media_store.local_path(name) is not None]

    @cached_property
    def _gone(self) -> set[UUID]:
        """Videos whose files are not as they should be: as we see now, or as the last look at the books saw."""
        told = {name.removeprefix(PREFIX) for name in self._told("I7") if name.startswith(PREFIX)}
        return {pk for pk, name, size in self._checked if _is_gone(name, size)} | {UUID(pk) for pk in told}

    @cached_property
    def _strays(self) -> list[str]:
        """Files that no row speaks of, as the last look at the books saw them, and nobody has answered."""
        answered = file_discrepancies.list_answered(Kind.STRAY)
        return [name for name in self._told("I15") if name not in answered]

    def _told(self, invariant: str) -> list[str]:
        return [one["reference"] for one in self._problems if one["invariant"] == invariant]


def _of(rows: QuerySet[VideoTask] | QuerySet[VideoFile], name: str) -> Exists:
    return Exists(rows.filter(**{name: OuterRef("job_id")}))


def _having(*states: str) -> Exists:
    """Videos with a file in one of these states."""
    return _of(VideoFile.objects.filter(state__in=states), "task")


def _is_gone(name: str, size_bytes: int) -> bool:
    path = media_store.local_path(name)
    try:
        return path is not None and path.stat().st_size != size_bytes
    except OSError:
        return True

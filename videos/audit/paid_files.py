"""Compares the videos that the provider was paid for with the stored files, for the reconciliation page.

The database does the counting for a period of any length; rows are read only for the few videos that the page lists, and
for the newest files, which are checked on the disk. An operator may explain a difference; the explanation is called an
answer (`FileAnswer`), and what is answered is not reported again. A stray file is one that belongs to no video.
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

# How many of the newest videos are checked on the disk for one page; the consistency checks look at all of them.
MAX_CHECKED = 2_000
# The page lists at most this many videos for each kind of difference, and this many answers.
MAX_NAMED = 8
MAX_ANSWERS = 20


@dataclass
class Difference:
    """The videos with one kind of mismatch of payment, row and file that no operator has explained in a FileAnswer."""

    kind: Kind
    count: int
    provider_credits: Decimal = ZERO
    tasks: list[VideoTask] = field(default_factory=list)  # the newest of them
    names: list[str] = field(default_factory=list)  # files that belong to no video

    @property
    def label(self) -> str:
        return str(self.kind.label)


@dataclass(frozen=True, kw_only=True)
class PaidFiles:
    """Totals of the videos whose cost became known within a period."""

    delivered: int
    files: int
    size_bytes: int
    deleted: int  # deleted by their owner or after the retention time
    checked: int  # files checked on the disk
    differences: list[Difference]
    answered: int  # the number of all answers
    answers: list[FileAnswer]  # the newest of them

    @property
    def is_matching(self) -> bool:
        return not self.differences


class PaidFileComparison:
    """Compares one provider account's videos whose cost became known after `after` and up to `until`.

    `run` is the last run of the consistency checks; what `videos.audit.files` found in it is included.
    """

    def __init__(
        self, *, account: ProviderAccount, after: datetime, until: datetime, run: BooksRun | None = None
    ) -> None:
        self.paid = Spend.objects.filter(
            account=account, state=Spend.State.SETTLED, settled_at__gt=after, settled_at__lte=until
        )
        self._problems = run.first_problems if run else []

    def summarize(self) -> PaidFiles:
        """All figures and lists for the page."""
        files = VideoFile.objects.filter(task__in=self.paid.values("job_id")).order_by().values("state")
        sums = {
            state: (videos, count, size)
            for state, videos, count, size in files.annotate(
                videos=Count("task", distinct=True), files=Count("pk"), size=Coalesce(Sum("size_bytes"), 0)
            ).values_list("state", "videos", "files", "size")
        }
        delivered, stored, size_bytes = sums.get(State.STORED, (0, 0, 0))
        answers = self._list_answers()
        return PaidFiles(
            delivered=delivered,
            files=stored,
            size_bytes=size_bytes,
            deleted=sums.get(State.DELETED, (0, 0, 0))[1],
            checked=len(self._checked),
            differences=[difference for difference in map(self._build_difference, Kind) if difference.count],
            answered=answers.count(),
            answers=list(answers.select_related("actor")[:MAX_ANSWERS]),
        )

    def list_unanswered(self, kind: Kind, references: Collection[str]) -> list[str]:
        """Those of the given references that have this kind of difference and no operator's answer yet."""
        if kind == Kind.STRAY:
            return [name for name in self._strays if name in references]
        ids = [task_id for reference in references if (task_id := task_id_of(reference)) is not None]
        differing = self.list_differing(kind).filter(job_id__in=ids).values_list("job_id", flat=True)
        return [reference_of(task_id) for task_id in differing]

    def list_differing(self, kind: Kind) -> QuerySet[Any]:
        """The videos with this kind of difference and no answer, newest first. A video has at most one kind."""
        answered = FileAnswer.objects.filter(kind=kind, job_id=OuterRef("job_id"))
        spends = self.paid.filter(~Exists(answered)).order_by("-settled_at", "-pk")
        if kind == Kind.MISSING:
            return spends.filter(job_id__in=self._missing)
        spends = spends.exclude(job_id__in=self._missing) if self._missing else spends
        arrived_late = _exists_for_video(VideoTask.objects.filter(late_at__isnull=False), "pk")
        if kind == Kind.LATE:
            return spends.filter(arrived_late, _has_file(State.STORED))
        if kind == Kind.UNPAID_FILE:
            return spends.filter(_has_file(State.STORED), ~arrived_late, actual=0)
        # What remains is PAID_WITHOUT_FILE. Unfinished and deleted videos are left out, because they rightly have no
        # file.
        is_final = _exists_for_video(VideoTask.objects.filter(status__in=VideoTask.FINAL), "pk")
        return spends.filter(is_final, ~_has_file(State.STORED, State.DELETED), actual__gt=0)

    def _build_difference(self, kind: Kind) -> Difference:
        if kind == Kind.STRAY:
            return Difference(kind, len(self._strays), names=self._strays[:MAX_NAMED])
        spends = self.list_differing(kind)
        sums = spends.order_by().aggregate(count=Count("pk"), cost=Coalesce(Sum("actual"), ZERO))
        difference = Difference(kind, sums["count"], sums["cost"])
        if difference.count:
            shown_ids = list(spends.values_list("job_id", flat=True)[:MAX_NAMED])
            tasks = VideoTask.objects.select_related("user").in_bulk(shown_ids)
            difference.tasks = [tasks[pk] for pk in shown_ids if pk in tasks]
        return difference

    def _list_answers(self) -> QuerySet[FileAnswer]:
        """The answers about these videos, and about stray files that the last check found."""
        about_these_videos = Q(Exists(self.paid.filter(job_id=OuterRef("job_id"))))
        return FileAnswer.objects.filter(about_these_videos | Q(kind=Kind.STRAY, reference__in=self._reported("I15")))

    @cached_property
    def _checked(self) -> Sequence[tuple[UUID, str, int]]:
        """Task, name and size of the newest files that are on a local disk."""
        newest = self.paid.filter(_has_file(State.STORED)).order_by("-settled_at", "-pk")
        tasks = list(newest.values_list("job_id", flat=True)[:MAX_CHECKED])
        rows = VideoFile.objects.filter(task__in=tasks, state=State.STORED).order_by()
        files = rows.values_list("task_id", "name", "size_bytes")
        return [(pk, name, size or 0) for pk, name, size in files if media_store.local_path(name) is not None]

    @cached_property
    def _missing(self) -> set[UUID]:
        """Videos whose files are missing or damaged, as found by this check or by the last consistency check."""
        reported = {name.removeprefix(PREFIX) for name in self._reported("I7") if name.startswith(PREFIX)}
        return {pk for pk, name, size in self._checked if _is_missing(name, size)} | {UUID(pk) for pk in reported}

    @cached_property
    def _strays(self) -> list[str]:
        """Files without a row, as the last consistency check found them, that have no answer yet."""
        answered = file_discrepancies.list_answered(Kind.STRAY)
        return [name for name in self._reported("I15") if name not in answered]

    def _reported(self, invariant: str) -> list[str]:
        return [problem["reference"] for problem in self._problems if problem["invariant"] == invariant]


def _exists_for_video(rows: QuerySet[VideoTask] | QuerySet[VideoFile], name: str) -> Exists:
    return Exists(rows.filter(**{name: OuterRef("job_id")}))


def _has_file(*states: str) -> Exists:
    """A condition: the video has a file in one of these states."""
    return _exists_for_video(VideoFile.objects.filter(state__in=states), "task")


def _is_missing(name: str, size_bytes: int) -> bool:
    path = media_store.local_path(name)
    try:
        return path is not None and path.stat().st_size != size_bytes
    except OSError:
        return True

"""What the provider was paid for against what we hold: videos, their rows, their files. The third side of reconciliation."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing.models import BooksRun, ProviderAccount, Spend
from videos import storing
from videos.models import VideoFile, VideoTask

State = VideoFile.State
ZERO = Decimal(0)

# Files looked at on the disk for one page, the newest; a look at the books sees all of them.
MOST_CHECKED = 2_000
# Videos named for each kind of difference.
MOST_NAMED = 8
_AT_ONCE = 5_000

WORDS: dict[str, Promise] = {
    "missing": _("Stored, but the file is not there"),
    "unpaid_file": _("Delivered, and cost us nothing"),
    "paid_without_file": _("Paid, but there is no file"),
    "late": _("Delivered free, after its refund"),
}


@dataclass
class Difference:
    """Videos whose three sides do not agree, all in the same way."""

    kind: str
    count: int = 0
    provider_credits: Decimal = ZERO
    tasks: list[VideoTask] = field(default_factory=list)  # the first of them

    @property
    def words(self) -> Promise:
        return WORDS[self.kind]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The videos whose cost became known within a stretch of time."""

    delivered: int
    files: int
    size_bytes: int
    deleted: int  # files that their owner, or their age, took away
    checked: int  # files looked for on the disk
    differences: list[Difference]
    strays: list[str]  # files that no row speaks of, as the last look at the books saw them

    @property
    def agree(self) -> bool:
        return not self.differences and not self.strays


@dataclass(frozen=True)
class _Paid:
    """A video's cost and its files."""

    task_id: UUID
    cost: Decimal
    is_late: bool
    is_open: bool
    files: tuple[VideoFile, ...]

    def has(self, state: str) -> bool:
        return any(file.state == state for file in self.files)


def kept(*, account: ProviderAccount, after: datetime, until: datetime, run: BooksRun | None) -> Kept:
    """Compare what was settled after `after` and up to `until`; `run` is the last look at the books."""
    spends = Spend.objects.filter(
        account=account, state=Spend.State.SETTLED, settled_at__gt=after, settled_at__lte=until
    ).order_by("-settled_at", "-pk")
    costs = {UUID(reference.partition(":")[2]): actual for reference, actual in _of_videos(spends)}
    found = list(_paid(costs))
    stored = [file for one in found for file in one.files if file.state == State.STORED]
    checked = [file for file in stored[:MOST_CHECKED] if storing.local_path(file.name) is not None]
    gone = {file.task_id for file in checked if _is_gone(file)} | _told_of(run, costs)
    return Kept(
        delivered=sum(one.has(State.STORED) for one in found),
        files=len(stored),
        size_bytes=sum(file.size_bytes or 0 for file in stored),
        deleted=sum(file.state == State.DELETED for one in found for file in one.files),
        checked=len(checked),
        differences=_differences(found, gone),
        strays=[one["reference"] for one in (run.first_problems if run else []) if one["invariant"] == "I15"],
    )


def _of_videos(spends: Iterable[Spend]) -> Iterator[tuple[str, Decimal]]:
    for spend in spends:
        if spend.reference.startswith("video:"):
            yield spend.reference, spend.actual or ZERO


def _paid(costs: dict[UUID, Decimal]) -> Iterator[_Paid]:
    """Newest first, as the costs came."""
    ids = list(costs)
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        files: dict[UUID, list[VideoFile]] = defaultdict(list)
        for file in VideoFile.objects.filter(task__in=some).order_by("task", "index"):
            files[file.task_id].append(file)
        tasks = _by_id(VideoTask.objects.filter(pk__in=some).only("pk", "status", "late_at"))
        for pk in some:
            if task := tasks.get(pk):
                yield _Paid(pk, costs[pk], task.late_at is not None, not task.is_final, tuple(files[pk]))


def _differences(found: Sequence[_Paid], gone: set[UUID]) -> list[Difference]:
    kinds = {kind: Difference(kind) for kind in WORDS}
    named: dict[str, list[UUID]] = defaultdict(list)
    for one in found:
        kind = _kind_of(one, gone)
        if kind:
            kinds[kind].count += 1
            kinds[kind].provider_credits += one.cost
            named[kind].append(one.task_id)
    shown = {kind: ids[:MOST_NAMED] for kind, ids in named.items()}
    tasks = _by_id(VideoTask.objects.filter(pk__in=[pk for ids in shown.values() for pk in ids]).select_related("user"))
    for kind, ids in shown.items():
        kinds[kind].tasks = [tasks[pk] for pk in ids]
    return [difference for difference in kinds.values() if difference.count]


def _kind_of(one: _Paid, gone: set[UUID]) -> str:
    """How its sides disagree; nothing when they agree, or when its file is still on its way."""
    if one.task_id in gone:
        return "missing"
    if one.has(State.STORED):
        if one.is_late:
            return "late"
        return "" if one.cost else "unpaid_file"
    if one.has(State.DELETED) or one.is_open:
        return ""
    return "paid_without_file" if one.cost else ""


def _is_gone(file: VideoFile) -> bool:
    path = storing.local_path(file.name)
    try:
        return path is not None and path.stat().st_size != file.size_bytes
    except OSError:
        return True


def _told_of(run: BooksRun | None, costs: dict[UUID, Decimal]) -> set[UUID]:
    """Videos of ours whose files the last look at the books did not find as they should be."""
    names = {one["reference"] for one in (run.first_problems if run else []) if one["invariant"] == "I7"}
    return {pk for pk in costs if f"video:{pk}" in names}


def _by_id(tasks: Iterable[VideoTask]) -> dict[UUID, VideoTask]:
    return {task.pk: task for task in tasks}

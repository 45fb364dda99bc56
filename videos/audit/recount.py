"""Totals made again from the rows themselves: the proof of what `billing.costs.rollups` keeps, and its repair.

A month at a time, in one moment of the database: day by day every job is read and counted as its steps once were
(`videos.lifecycle.metrics`), and compared with totals and the marks not folded yet. Memory holds one day and one month's sums.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import Exists, QuerySet
from django.utils.dateparse import parse_datetime

from accounts.seams import clock, randomness
from billing.common.periods import Window, window_at, windows_between
from billing.costs import histogram, rollups
from billing.costs.rollups import Key
from billing.models import Measure, Period, Spend, TallyMark, Total
from videos.lifecycle.metrics import ENDS
from videos.models import VideoTask

Status = VideoTask.Status
Sums = dict[Key, Decimal]

# Who changes the same totals in the same moment makes a repair begin anew.
ATTEMPTS = 8
NOUGHT = Decimal(0)
ONE = Decimal(1)


@dataclass(frozen=True)
class Difference:
    """A sum that is not what the rows say."""

    key: Key
    kept: Decimal
    counted: Decimal

    def __str__(self) -> str:
        period, starts_at, user_id, model, measure, label = self.key
        whose = f"user {user_id}" if user_id else model
        what = f"{measure} {label}".strip()
        return f"{period} {starts_at:%Y-%m-%d %H:%M} {whose}, {what}: {self.kept} kept, {self.counted} counted"


def fold() -> int:
    """The worker's chore: totals of months that have none yet are made from the rows, then marks are folded."""
    for month in missing_months():
        repair(month)
    return rollups.fold_marks()


def uncounted_rows() -> list[QuerySet[Any]]:
    """Rows that wait for `fold`: marks, or, where nothing was ever counted, jobs."""
    return [TallyMark.objects.all(), Spend.objects.filter(~Exists(Total.objects.all()))]


def months() -> list[Window]:
    """Every month since the first job, newest first: what is looked at most is there soonest."""
    first = Spend.objects.order_by("created_at").values_list("created_at", flat=True).first()
    last = Spend.objects.order_by("-created_at").values_list("created_at", flat=True).first()
    if first is None or last is None:
        return []
    return [*windows_between(Period.MONTH, first, last + timedelta.resolution)][::-1]


def missing_months() -> list[Window]:
    """The months that have jobs and no totals: before the first fold, or after an upgrade from a site without counts."""
    totals = Total.objects.filter(user_id=0, period=Period.MONTH, measure=Measure.ORDERED)
    there = set(totals.values_list("starts_at", flat=True).distinct())
    return [one for one in months() if one.starts_at not in there and _jobs_of(one).exists()]


def differences(since: datetime, until: datetime) -> Iterator[Difference]:
    """What is kept otherwise than the rows say, of every day and whole month in [since, until). Changes nothing."""
    for month in windows_between(Period.MONTH, since, until):
        with _one_moment(read_only=True):
            found = list(_differences(month, since, until))
        yield from found


def repair(month: Window) -> int:
    """Put right every total of a month, in one transaction; returns how many were wrong."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with _one_moment():
                # Marks not folded yet come on top later.
                waiting = rollups.unfolded_sums(since=month.starts_at, until=month.ends_at)
                wrong = {one.key: one.counted for one in _differences(month, month.starts_at, month.ends_at)}
                rollups.set_totals({key: amount - waiting.get(key, NOUGHT) for key, amount in wrong.items()})
                return len(wrong)
        except OperationalError:
            if attempt == ATTEMPTS:
                raise
            clock.sleep(randomness.jitter(0.2 * attempt))
    raise AssertionError("unreachable")


def counted(day: Window) -> Sums:
    """The totals of one day and its hours, as the rows say: by model for all, and by user for the day."""
    everybody: dict[tuple[datetime, str, str, str], Decimal] = defaultdict(Decimal)
    sums: Sums = defaultdict(Decimal)
    for at, model, user_id, counts in _jobs(day):
        hour = window_at(Period.HOUR, at).starts_at
        for measure, label, amount in counts:
            everybody[hour, model, measure, label] += amount
            if measure in rollups.USER_MEASURES:
                sums[Period.DAY, day.starts_at, user_id, "", measure, label] += amount
    for (hour, model, measure, label), amount in everybody.items():
        sums[Period.DAY, day.starts_at, 0, model, measure, label] += amount
        if measure not in rollups.LABELLED:
            sums[Period.HOUR, hour, 0, model, measure, label] += amount
    return sums


def _differences(month: Window, since: datetime, until: datetime) -> Iterator[Difference]:
    whole: Sums = defaultdict(Decimal)
    for day in windows_between(Period.DAY, max(since, month.starts_at), min(until, month.ends_at)):
        sums = counted(day)
        yield from _compared(rollups.read_sums(Period.HOUR, Period.DAY, since=day.starts_at, until=day.ends_at), sums)
        for (period, _, user_id, model, measure, label), amount in sums.items():
            if period == Period.DAY:
                whole[Period.MONTH, month.starts_at, user_id, model, measure, label] += amount
    if since <= month.starts_at and month.ends_at <= until:
        yield from _compared(rollups.read_sums(Period.MONTH, since=month.starts_at, until=month.ends_at), whole)


def _compared(kept: Sums, counted: Sums) -> Iterator[Difference]:
    for key in sorted(kept.keys() | counted.keys()):
        # SQLite sums in binary fractions; both are exact to what an amount is kept to.
        both = [one.get(key, NOUGHT).quantize(rollups.SMALLEST) for one in (kept, counted)]
        if both[0] != both[1]:
            yield Difference(key, *both)


Counts = list[tuple[str, str, Decimal]]


def _jobs(day: Window) -> Iterator[tuple[datetime, str, int, Counts]]:
    """Each job ordered on this day: when, of which model, whose, and what it counts."""
    moments = [connection.ops.adapt_datetimefield_value(at) for at in (day.starts_at, day.ends_at)]
    with connection.cursor() as cursor:
        cursor.execute(_JOBS, moments)
        for at, model, user_id, *rest in cursor.fetchall():
            yield _time(at), model, user_id, _counts(*rest)


def _counts(
    state: str, estimated: Any, actual: Any, charged: Any, refunded: Any, status: str | None, failure: str, way: str,
    ordered: Any, sent: Any, done: Any,
) -> Counts:  # fmt: skip
    found: Counts = [
        (Measure.ORDERED, "", ONE),
        (Measure.ESTIMATED, "", _amount(estimated)),
        (Measure.CHARGED, "", _amount(charged)),
        (Measure.REFUNDED, "", _amount(refunded)),
    ]
    if state == Spend.State.SETTLED:
        found += [
            (Measure.SETTLED, "", ONE),
            (Measure.SETTLED_ESTIMATE, "", _amount(estimated)),
            (Measure.ACTUAL, "", _amount(actual)),
        ]
    if status is None:
        return found
    if end := ENDS.get(Status(status)):
        found.append((end, "", ONE))
    if status == Status.FAILED:
        found.append((Measure.FAILURE, failure, ONE))
    if sent is not None and status not in (Status.QUEUED, Status.SUBMITTING):
        found.append((Measure.WAIT, _bucket(ordered, sent), ONE))
    if way:
        found.append((Measure.VERDICT, way, ONE))
        if sent is not None and done is not None:
            found.append((Measure.GENERATION, _bucket(sent, done), ONE))
    return found


_JOBS = """
    SELECT s.created_at, s.model, s.user_id, s.state, s.estimated, s.actual,
        (SELECT -SUM(e.amount) FROM billing_ledgerentry e WHERE e.job_id = s.job_id AND e.kind = 'charge'),
        (SELECT SUM(e.amount) FROM billing_ledgerentry e WHERE e.job_id = s.job_id AND e.kind = 'refund'),
        t.status, t.failure_code, t.settled_by, t.created_at, t.submitted_at, t.provider_done_at
    FROM billing_spend s LEFT JOIN videos_videotask t ON t.id = s.job_id
    WHERE s.created_at >= %s AND s.created_at < %s
"""


def _bucket(since: Any, until: Any) -> str:
    return histogram.duration_bucket((_time(until) - _time(since)).total_seconds())


def _time(value: Any) -> datetime:
    """A time as plain SQL gives it: SQLite gives text."""
    read = parse_datetime(value) if isinstance(value, str) else value
    assert isinstance(read, datetime)  # noqa: S101  a column that holds times
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _amount(value: Any) -> Decimal:
    return Decimal(str(value or 0)).quantize(rollups.SMALLEST)


def _jobs_of(one: Window) -> Any:
    return Spend.objects.filter(created_at__gte=one.starts_at, created_at__lt=one.ends_at)


@contextmanager
def _one_moment(*, read_only: bool = False) -> Iterator[None]:
    """Every statement of the block sees the same moment; what another changes meanwhile cannot be overwritten."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ {'READ ONLY' if read_only else ''}")
        yield

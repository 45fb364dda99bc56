"""Recounts the totals of `billing.costs.rollups` from the rows, to check and repair them.

It works month by month, each in one database snapshot. Every job is counted by the same rules as when it happened
(`videos.lifecycle.metrics`); the sums are compared with the stored totals plus the marks that were not folded yet. A mark
(`TallyMark`) is a pending increment, and folding adds it to its total. Only the sums of one day and one month are held in
memory.
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
from videos.lifecycle.metrics import MEASURE_OF_STATUS
from videos.models import VideoTask

Status = VideoTask.Status
Sums = dict[Key, Decimal]

# A repair is retried when another transaction changes the same totals.
MAX_ATTEMPTS = 8
ZERO = Decimal(0)
ONE = Decimal(1)
# The user id of totals that cover all users.
ALL_USERS = 0


@dataclass(frozen=True)
class Difference:
    """A stored total that differs from the recount."""

    key: Key
    stored: Decimal
    recounted: Decimal

    def __str__(self) -> str:
        period, starts_at, user_id, model, measure, label = self.key
        subject = f"user {user_id}" if user_id else model
        name = f"{measure} {label}".strip()
        return f"{period} {starts_at:%Y-%m-%d %H:%M} {subject}, {name}: {self.stored} stored, {self.recounted} counted"


def fold() -> int:
    """Build the totals of months that have none, then add the pending marks to the totals; run by the worker."""
    for month in list_missing_months():
        repair(month)
    return rollups.fold_marks()


def uncounted_rows() -> list[QuerySet[Any]]:
    """The rows that `fold` would still have to count: all pending marks, and all jobs if there are no totals yet."""
    return [TallyMark.objects.all(), Spend.objects.filter(~Exists(Total.objects.all()))]


def list_months() -> list[Window]:
    """Every month since the first job, newest first, because recent months are read most."""
    first = Spend.objects.order_by("created_at").values_list("created_at", flat=True).first()
    last = Spend.objects.order_by("-created_at").values_list("created_at", flat=True).first()
    if first is None or last is None:
        return []
    return [*windows_between(Period.MONTH, first, last + timedelta.resolution)][::-1]


def list_missing_months() -> list[Window]:
    """The months that have jobs but no totals; before the first run of `fold`, that is every month with jobs."""
    totals = Total.objects.filter(user_id=ALL_USERS, period=Period.MONTH, measure=Measure.ORDERED)
    months_with_totals = set(totals.values_list("starts_at", flat=True).distinct())
    return [
        month for month in list_months() if month.starts_at not in months_with_totals and _filter_jobs(month).exists()
    ]


def find_differences(since: datetime, until: datetime) -> Iterator[Difference]:
    """Stored totals that differ from the rows, for every day and whole month in [since, until). Changes nothing."""
    for month in windows_between(Period.MONTH, since, until):
        with _consistent_snapshot(read_only=True):
            differences = list(_find_differences(month, since, until))
        yield from differences


def repair(month: Window) -> int:
    """Correct every total of a month in one transaction; returns how many were wrong."""
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            with _consistent_snapshot():
                # The recount already includes the jobs of pending marks, which are added later: subtract them.
                pending = rollups.sum_unfolded_marks(since=month.starts_at, until=month.ends_at)
                corrections = {
                    difference.key: difference.recounted
                    for difference in _find_differences(month, month.starts_at, month.ends_at)
                }
                rollups.set_totals({key: amount - pending.get(key, ZERO) for key, amount in corrections.items()})
                return len(corrections)
        except OperationalError:
            if attempt == MAX_ATTEMPTS:
                raise
            clock.sleep(randomness.jitter(0.2 * attempt))
    raise AssertionError("unreachable")


def count_day(day: Window) -> Sums:
    """The totals of one day and its hours, recounted from the rows: by model, and for the day also by user."""
    by_model: dict[tuple[datetime, str, str, str], Decimal] = defaultdict(Decimal)
    sums: Sums = defaultdict(Decimal)
    for at, model, user_id, counts in _read_jobs(day):
        hour = window_at(Period.HOUR, at).starts_at
        for measure, label, amount in counts:
            by_model[hour, model, measure, label] += amount
            if measure in rollups.USER_MEASURES:
                sums[Period.DAY, day.starts_at, user_id, "", measure, label] += amount
    for (hour, model, measure, label), amount in by_model.items():
        sums[Period.DAY, day.starts_at, ALL_USERS, model, measure, label] += amount
        if measure not in rollups.LABELLED:
            sums[Period.HOUR, hour, ALL_USERS, model, measure, label] += amount
    return sums


def _find_differences(month: Window, since: datetime, until: datetime) -> Iterator[Difference]:
    month_sums: Sums = defaultdict(Decimal)
    for day in windows_between(Period.DAY, max(since, month.starts_at), min(until, month.ends_at)):
        sums = count_day(day)
        yield from _compare(rollups.read_sums(Period.HOUR, Period.DAY, since=day.starts_at, until=day.ends_at), sums)
        for (period, _, user_id, model, measure, label), amount in sums.items():
            if period == Period.DAY:
                month_sums[Period.MONTH, month.starts_at, user_id, model, measure, label] += amount
    if since <= month.starts_at and month.ends_at <= until:
        yield from _compare(rollups.read_sums(Period.MONTH, since=month.starts_at, until=month.ends_at), month_sums)


def _compare(stored: Sums, recounted: Sums) -> Iterator[Difference]:
    for key in sorted(stored.keys() | recounted.keys()):
        # SQLite sums in floating point, so both amounts are rounded to the smallest stored amount.
        amounts = [sums.get(key, ZERO).quantize(rollups.QUANTUM) for sums in (stored, recounted)]
        if amounts[0] != amounts[1]:
            yield Difference(key, *amounts)


Counts = list[tuple[str, str, Decimal]]


def _read_jobs(day: Window) -> Iterator[tuple[datetime, str, int, Counts]]:
    """Each job ordered on this day: when it was ordered, its model, its user's id, and what it adds to the totals."""
    bounds = [connection.ops.adapt_datetimefield_value(at) for at in (day.starts_at, day.ends_at)]
    with connection.cursor() as cursor:
        cursor.execute(_JOBS_SQL, bounds)
        for at, model, user_id, *rest in cursor.fetchall():
            yield _parse_time(at), model, user_id, _count_job(*rest)


def _count_job(
    state: str, estimated: Any, actual: Any, charged: Any, refunded: Any, status: str | None, failure: str, settled_by: str,
    ordered: Any, sent: Any, done: Any,
) -> Counts:  # fmt: skip
    counts: Counts = [
        (Measure.ORDERED, "", ONE),
        (Measure.ESTIMATED, "", _parse_amount(estimated)),
        (Measure.CHARGED, "", _parse_amount(charged)),
        (Measure.REFUNDED, "", _parse_amount(refunded)),
    ]
    if state == Spend.State.SETTLED:
        counts += [
            (Measure.SETTLED, "", ONE),
            (Measure.SETTLED_ESTIMATE, "", _parse_amount(estimated)),
            (Measure.ACTUAL, "", _parse_amount(actual)),
        ]
    if status is None:
        return counts
    if measure := MEASURE_OF_STATUS.get(Status(status)):
        counts.append((measure, "", ONE))
    if status == Status.FAILED:
        counts.append((Measure.FAILURE, failure, ONE))
    if sent is not None and status not in (Status.QUEUED, Status.SUBMITTING):
        counts.append((Measure.WAIT, _bucket(ordered, sent), ONE))
    if settled_by:
        counts.append((Measure.VERDICT, settled_by, ONE))
        if sent is not None and done is not None:
            counts.append((Measure.GENERATION, _bucket(sent, done), ONE))
    return counts


_JOBS_SQL = """
    SELECT s.created_at, s.model, s.user_id, s.state, s.estimated, s.actual,
        (SELECT -SUM(e.amount) FROM billing_ledgerentry e WHERE e.job_id = s.job_id AND e.kind = 'charge'),
        (SELECT SUM(e.amount) FROM billing_ledgerentry e WHERE e.job_id = s.job_id AND e.kind = 'refund'),
        t.status, t.failure_code, t.settled_by, t.created_at, t.submitted_at, t.provider_done_at
    FROM billing_spend s LEFT JOIN videos_videotask t ON t.id = s.job_id
    WHERE s.created_at >= %s AND s.created_at < %s
"""


def _bucket(since: Any, until: Any) -> str:
    return histogram.duration_bucket((_parse_time(until) - _parse_time(since)).total_seconds())


def _parse_time(value: Any) -> datetime:
    """A time from plain SQL, which SQLite returns as text."""
    parsed = parse_datetime(value) if isinstance(value, str) else value
    assert isinstance(parsed, datetime)  # noqa: S101  a column that holds times
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _parse_amount(value: Any) -> Decimal:
    return Decimal(str(value or 0)).quantize(rollups.QUANTUM)


def _filter_jobs(month: Window) -> Any:
    return Spend.objects.filter(created_at__gte=month.starts_at, created_at__lt=month.ends_at)


@contextmanager
def _consistent_snapshot(*, read_only: bool = False) -> Iterator[None]:
    """All statements in the block see the same snapshot, and cannot overwrite rows that were changed meanwhile."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ {'READ ONLY' if read_only else ''}")
        yield

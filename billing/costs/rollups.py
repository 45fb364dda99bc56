"""The only writer of counts: marks in the transaction of what they count, folded into totals a moment later.

A sum read here is exact at every moment: totals and the marks not folded yet are read in one statement.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from billing.common.periods import window_at
from billing.models import Measure, Period, Spend, TallyMark, Total

# Measures with a label (reasons, histograms) are kept by day and month only; users' totals only hold these.
LABELLED = frozenset({Measure.FAILURE, Measure.VERDICT, Measure.GENERATION, Measure.WAIT})
USER_MEASURES = (
    Measure.ORDERED,
    Measure.ESTIMATED,
    Measure.SETTLED_ESTIMATE,
    Measure.ACTUAL,
    Measure.CHARGED,
    Measure.REFUNDED,
    Measure.READY,
    Measure.FAILED,
)
# As amounts are kept.
SMALLEST = Decimal("0.0001")
# So many marks are folded in one transaction.
FOLDED_AT_ONCE = 5_000
PUT_AT_ONCE = 2_000


@dataclass(frozen=True)
class TotalRow:
    """One sum: in provider credits, user credits, jobs, whatever the measure counts."""

    starts_at: datetime
    model: str
    measure: str
    label: str
    amount: Decimal


@dataclass(frozen=True)
class UserTotals:
    """One user's sums in a stretch of time, by measure (those of OF_USERS)."""

    user_id: int
    amounts: dict[str, Decimal]
    email: str = ""  # empty when the account is gone


Count = tuple[Measure, Decimal | int]
LabelledCount = tuple[Measure, str, Decimal | int]


def record_counts(
    *,
    ordered_at: datetime,
    model: str,
    user_id: int,
    counts: Iterable[Count] = (),
    labelled: Iterable[LabelledCount] = (),
) -> None:
    """Count, in the caller's transaction. A job's counts all go to the hour in which it was ordered."""
    hour = window_at(Period.HOUR, ordered_at).starts_at
    every = [*((measure, "", amount) for measure, amount in counts), *labelled]
    TallyMark.objects.bulk_create(
        TallyMark(hour=hour, model=model, user_id=user_id, measure=measure, label=label[:40], amount=Decimal(amount))
        for measure, label, amount in every
        if amount
    )


def record_job_counts(*, job_id: UUID, counts: Iterable[Count] = (), labelled: Iterable[LabelledCount] = ()) -> None:
    """Count something about the job that this spend is for."""
    job = Spend.objects.only("created_at", "model", "user_id").get(job_id=job_id)
    record_counts(ordered_at=job.created_at, model=job.model, user_id=job.user_id, counts=counts, labelled=labelled)


def read_totals(
    period: Period, *, since: datetime, until: datetime, measures: Iterable[Measure] | None = None
) -> list[TotalRow]:
    """Sums of all users by window and model, in [since, until), which begin and end with a window. One query."""
    totals = Total.objects.filter(period=period, user_id=0, starts_at__gte=since, starts_at__lt=until)
    marks = TallyMark.objects.filter(hour__gte=since, hour__lt=until)
    if measures is not None:
        wanted = list(measures)
        totals, marks = totals.filter(measure__in=wanted), marks.filter(measure__in=wanted)
    if period == Period.HOUR:
        marks = marks.exclude(measure__in=LABELLED)
    names = ("model", "measure", "label", "amount")
    both = totals.values_list("starts_at", *names).union(marks.values_list("hour", *names), all=True)
    sums: dict[tuple[datetime, str, str, str], Decimal] = defaultdict(Decimal)
    for at, model, measure, label, amount in both:
        sums[window_at(period, at).starts_at, model, measure, label] += amount
    return [TotalRow(*key, amount) for key, amount in sorted(sums.items())]


def rank_users(period: Period, *, since: datetime, until: datetime, by: Measure, most: int) -> list[UserTotals]:
    """Who counts most in `by` (one of OF_USERS), with all their sums. `period` is DAY or MONTH. One query.

    Ranked by the one measure first, so that however many users there are, only few of their sums are read.
    """
    parts = """
        SELECT user_id, measure, amount FROM billing_total
        WHERE period = %s AND measure IN ({measures}) AND starts_at >= %s AND starts_at < %s AND user_id {who}
        UNION ALL
        SELECT user_id, measure, amount FROM billing_tallymark
        WHERE measure IN ({measures}) AND hour >= %s AND hour < %s AND user_id {who}
    """
    ranking = parts.format(measures="%s", who="> 0")
    sums = parts.format(measures=", ".join(["%s"] * len(USER_MEASURES)), who="IN (SELECT user_id FROM ranked)")
    at = [_moment(since), _moment(until)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH ranked AS (
                SELECT user_id, SUM(amount) AS place FROM ({ranking}) AS one
                GROUP BY user_id ORDER BY place DESC, user_id LIMIT %s
            )
            SELECT user_id, measure, SUM(amount), (SELECT email FROM accounts_user WHERE id = user_id)
            FROM ({sums}) AS every GROUP BY user_id, measure
            """,  # noqa: S608  constants of our own only; every value is a parameter
            [period, by, *at, by, *at, most, period, *USER_MEASURES, *at, *USER_MEASURES, *at],
        )
        found = cursor.fetchall()
    amounts: dict[int, dict[str, Decimal]] = defaultdict(lambda: dict.fromkeys(USER_MEASURES, Decimal(0)))
    emails: dict[int, str] = {}
    for user_id, measure, amount, email in found:
        emails[user_id] = email or ""
        amounts[user_id][measure] = Decimal(str(amount)).quantize(SMALLEST)
    order = sorted(amounts, key=lambda user_id: (-amounts[user_id][by], user_id))
    return [UserTotals(user_id, amounts[user_id], emails[user_id]) for user_id in order]


def has_unfolded_marks() -> bool:
    """Whether marks wait to be folded."""
    return TallyMark.objects.exists()


def fold_marks(*, most: int = 100_000) -> int:
    """Fold marks into totals until none is left, or `most` are done; returns how many. Two at once do no harm."""
    folded = 0
    while folded < most and (count := _fold_some()):
        folded += count
    return folded


def _fold_some() -> int:
    with transaction.atomic():
        marks = list(TallyMark.objects.select_for_update(skip_locked=True).order_by("pk")[:FOLDED_AT_ONCE])
        _write(totals_of(marks), "billing_total.amount + EXCLUDED.amount")
        TallyMark.objects.filter(pk__in=[mark.pk for mark in marks]).delete()
    return len(marks)


# Period, start of the window, user (0: all), model, measure, label.
Key = tuple[str, datetime, int, str, str, str]
_KEY = ("period", "starts_at", "user_id", "model", "measure", "label")


def totals_of(marks: Iterable[TallyMark]) -> dict[Key, Decimal]:
    """What marks add to which totals: by model for all, and by user for all models."""
    sums: dict[Key, Decimal] = defaultdict(Decimal)
    for one in marks:
        for period in Period:
            if period == Period.HOUR and one.measure in LABELLED:
                continue
            start = window_at(period, one.hour).starts_at
            sums[period, start, 0, one.model, one.measure, one.label] += one.amount
            if period != Period.HOUR and one.measure in USER_MEASURES:
                sums[period, start, one.user_id, "", one.measure, one.label] += one.amount
    return sums


def read_sums(*periods: Period, since: datetime, until: datetime) -> dict[Key, Decimal]:
    """Every sum of these windows in [since, until): totals, and the marks not folded yet. For `videos.audit.recount`."""
    totals = Total.objects.filter(period__in=periods, starts_at__gte=since, starts_at__lt=until)
    sums: dict[Key, Decimal] = {}
    # Apart, since each has an index of its own.
    for part in (totals.filter(user_id=0), totals.filter(user_id__gt=0, measure__in=USER_MEASURES)):
        sums |= {tuple(key): amount for *key, amount in part.values_list(*_KEY, "amount")}
    for key, amount in unfolded_sums(since=since, until=until).items():
        if key[0] in periods:
            sums[key] = sums.get(key, Decimal(0)) + amount
    return sums


def unfolded_sums(*, since: datetime, until: datetime) -> dict[Key, Decimal]:
    """What the marks of these hours will add to totals."""
    return totals_of(TallyMark.objects.filter(hour__gte=since, hour__lt=until))


def set_totals(sums: dict[Key, Decimal]) -> None:
    """Set totals, whatever they were. For `videos.audit.recount`, in its transaction."""
    _write(sums, "EXCLUDED.amount")


def _write(sums: dict[Key, Decimal], amount: str) -> None:
    """Insert sums, or change those that are there to `amount`, which is SQL of ours."""
    # In one order for all, so that two who write at once wait for each other only in a line.
    rows = [_values(key, sums[key]) for key in sorted(sums)]
    row = "(%s, %s, %s, %s, %s, %s, %s)"
    with connection.cursor() as cursor:
        for begin in range(0, len(rows), PUT_AT_ONCE):
            part = rows[begin : begin + PUT_AT_ONCE]
            # Many rows in one statement: many times faster than a statement for each.
            cursor.execute(
                f"""
                INSERT INTO billing_total (period, starts_at, user_id, model, measure, label, amount)
                VALUES {", ".join([row] * len(part))}
                ON CONFLICT (user_id, period, starts_at, measure, model, label) DO UPDATE SET amount = {amount}
                """,  # noqa: S608  constants of ours
                list(chain.from_iterable(part)),
            )


def _values(key: Key, amount: Decimal) -> tuple[Any, ...]:
    period, start, user_id, model, measure, label = key
    kept_amount = connection.ops.adapt_decimalfield_value(amount, 18, 4)
    return str(period), _moment(start), user_id, model, str(measure), label, kept_amount


def _moment(at: datetime) -> Any:
    """A time as this database compares it in plain SQL."""
    return connection.ops.adapt_datetimefield_value(at)

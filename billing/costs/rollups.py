"""The only writer of totals: how many jobs were ordered, what they cost and so on, by hour, day and month.

Counting an event inserts a mark: one row with the amount to add (`TallyMark`). A mark is inserted in the transaction of
its event. Soon after, a job folds the marks: it adds them to the totals and deletes them. Sums are always exact, because
totals and unfolded marks are read in one statement.
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

# Measures with a label (a failure reason, a histogram bucket) have no hourly totals. Totals by user exist only for
# USER_MEASURES, and only by day and month.
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
# The scale of stored amounts.
QUANTUM = Decimal("0.0001")
# Maximum number of marks folded in one transaction, and of rows written by one statement.
FOLD_BATCH = 5_000
WRITE_BATCH = 2_000


@dataclass(frozen=True)
class TotalRow:
    """A sum in the unit of its measure: provider credits, user credits or jobs."""

    starts_at: datetime
    model: str
    measure: str
    label: str
    amount: Decimal


@dataclass(frozen=True)
class UserTotals:
    """A user's sums in a time range, by measure (all of USER_MEASURES)."""

    user_id: int
    amounts: dict[str, Decimal]
    email: str = ""  # empty if the account was deleted


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
    """Insert marks in the caller's transaction. All counts of a job belong to the hour in which it was ordered."""
    hour = window_at(Period.HOUR, ordered_at).starts_at
    marks = [*((measure, "", amount) for measure, amount in counts), *labelled]
    TallyMark.objects.bulk_create(
        TallyMark(hour=hour, model=model, user_id=user_id, measure=measure, label=label[:40], amount=Decimal(amount))
        for measure, label, amount in marks
        if amount
    )


def record_job_counts(*, job_id: UUID, counts: Iterable[Count] = (), labelled: Iterable[LabelledCount] = ()) -> None:
    """Insert marks for a job that was ordered before."""
    job = Spend.objects.only("created_at", "model", "user_id").get(job_id=job_id)
    record_counts(ordered_at=job.created_at, model=job.model, user_id=job.user_id, counts=counts, labelled=labelled)


def read_totals(
    period: Period, *, since: datetime, until: datetime, measures: Iterable[Measure] | None = None
) -> list[TotalRow]:
    """Sums over all users by window and model in [since, until), which must be starts of windows. One query."""
    totals = Total.objects.filter(period=period, user_id=0, starts_at__gte=since, starts_at__lt=until)
    marks = TallyMark.objects.filter(hour__gte=since, hour__lt=until)
    if measures is not None:
        codes = list(measures)
        totals, marks = totals.filter(measure__in=codes), marks.filter(measure__in=codes)
    if period == Period.HOUR:
        marks = marks.exclude(measure__in=LABELLED)
    fields = ("model", "measure", "label", "amount")
    rows = totals.values_list("starts_at", *fields).union(marks.values_list("hour", *fields), all=True)
    sums: dict[tuple[datetime, str, str, str], Decimal] = defaultdict(Decimal)
    for at, model, measure, label, amount in rows:
        sums[window_at(period, at).starts_at, model, measure, label] += amount
    return [TotalRow(*key, amount) for key, amount in sorted(sums.items())]


def rank_users(period: Period, *, since: datetime, until: datetime, by: Measure, limit: int) -> list[UserTotals]:
    """The users with the largest sums of `by` (one of USER_MEASURES), with all their sums. One query.

    `period` is DAY or MONTH. The users are ranked first, so that the other sums are read for few users only.
    """
    amounts_sql = """
        SELECT user_id, measure, amount FROM billing_total
        WHERE period = %s AND measure IN ({measures}) AND starts_at >= %s AND starts_at < %s AND user_id {user_condition}
        UNION ALL
        SELECT user_id, measure, amount FROM billing_tallymark
        WHERE measure IN ({measures}) AND hour >= %s AND hour < %s AND user_id {user_condition}
    """
    ranking = amounts_sql.format(measures="%s", user_condition="> 0")
    sums = amounts_sql.format(
        measures=", ".join(["%s"] * len(USER_MEASURES)), user_condition="IN (SELECT user_id FROM ranked)"
    )
    bounds = [_sql_time(since), _sql_time(until)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH ranked AS (
                SELECT user_id, SUM(amount) AS ranking_sum FROM ({ranking}) AS amounts
                GROUP BY user_id ORDER BY ranking_sum DESC, user_id LIMIT %s
            )
            SELECT user_id, measure, SUM(amount), (SELECT email FROM accounts_user WHERE id = user_id)
            FROM ({sums}) AS sums GROUP BY user_id, measure
            """,  # noqa: S608  only constants are formatted; all values are parameters
            [period, by, *bounds, by, *bounds, limit, period, *USER_MEASURES, *bounds, *USER_MEASURES, *bounds],
        )
        rows = cursor.fetchall()
    amounts: dict[int, dict[str, Decimal]] = defaultdict(lambda: dict.fromkeys(USER_MEASURES, Decimal(0)))
    emails: dict[int, str] = {}
    for user_id, measure, amount, email in rows:
        emails[user_id] = email or ""
        amounts[user_id][measure] = Decimal(str(amount)).quantize(QUANTUM)
    ranked = sorted(amounts, key=lambda user_id: (-amounts[user_id][by], user_id))
    return [UserTotals(user_id, amounts[user_id], emails[user_id]) for user_id in ranked]


def fold_marks(*, limit: int = 100_000) -> int:
    """Add marks to the totals until none is left or `limit` is reached; returns how many. May run concurrently."""
    folded = 0
    while folded < limit and (count := _fold_batch()):
        folded += count
    return folded


def _fold_batch() -> int:
    with transaction.atomic():
        marks = list(TallyMark.objects.select_for_update(skip_locked=True).order_by("pk")[:FOLD_BATCH])
        _write_totals(sum_marks(marks), "billing_total.amount + EXCLUDED.amount")
        TallyMark.objects.filter(pk__in=[mark.pk for mark in marks]).delete()
    return len(marks)


# A total's key: period, start of the window, user (0 for all users), model (empty for all models), measure, label.
Key = tuple[str, datetime, int, str, str, str]
_KEY_FIELDS = ("period", "starts_at", "user_id", "model", "measure", "label")


def sum_marks(marks: Iterable[TallyMark]) -> dict[Key, Decimal]:
    """What these marks add to each total. Totals are kept by model for all users, and by user for all models."""
    sums: dict[Key, Decimal] = defaultdict(Decimal)
    for mark in marks:
        for period in Period:
            if period == Period.HOUR and mark.measure in LABELLED:
                continue
            start = window_at(period, mark.hour).starts_at
            sums[period, start, 0, mark.model, mark.measure, mark.label] += mark.amount
            if period != Period.HOUR and mark.measure in USER_MEASURES:
                sums[period, start, mark.user_id, "", mark.measure, mark.label] += mark.amount
    return sums


def read_sums(*periods: Period, since: datetime, until: datetime) -> dict[Key, Decimal]:
    """All sums of these periods in [since, until): totals and unfolded marks. Used by `videos.audit.recount`."""
    totals = Total.objects.filter(period__in=periods, starts_at__gte=since, starts_at__lt=until)
    sums: dict[Key, Decimal] = {}
    # Two queries, because each can use an index.
    for selection in (totals.filter(user_id=0), totals.filter(user_id__gt=0, measure__in=USER_MEASURES)):
        sums |= {tuple(key): amount for *key, amount in selection.values_list(*_KEY_FIELDS, "amount")}
    for key, amount in sum_unfolded_marks(since=since, until=until).items():
        if key[0] in periods:
            sums[key] = sums.get(key, Decimal(0)) + amount
    return sums


def sum_unfolded_marks(*, since: datetime, until: datetime) -> dict[Key, Decimal]:
    """What the unfolded marks of these hours add to totals."""
    return sum_marks(TallyMark.objects.filter(hour__gte=since, hour__lt=until))


def set_totals(sums: dict[Key, Decimal]) -> None:
    """Overwrite totals. `videos.audit.recount` calls this in the transaction that compares them."""
    _write_totals(sums, "EXCLUDED.amount")


def _write_totals(sums: dict[Key, Decimal], update_sql: str) -> None:
    """Insert totals, or set the amount of existing ones to the SQL expression `update_sql`."""
    # Always in the same order, so that concurrent writers cannot deadlock.
    rows = [_row_values(key, sums[key]) for key in sorted(sums)]
    row = "(%s, %s, %s, %s, %s, %s, %s)"
    with connection.cursor() as cursor:
        for begin in range(0, len(rows), WRITE_BATCH):
            batch = rows[begin : begin + WRITE_BATCH]
            # One statement for many rows is much faster than one for each.
            cursor.execute(
                f"""
                INSERT INTO billing_total (period, starts_at, user_id, model, measure, label, amount)
                VALUES {", ".join([row] * len(batch))}
                ON CONFLICT (user_id, period, starts_at, measure, model, label) DO UPDATE SET amount = {update_sql}
                """,  # noqa: S608  only constants are formatted
                list(chain.from_iterable(batch)),
            )


def _row_values(key: Key, amount: Decimal) -> tuple[Any, ...]:
    period, start, user_id, model, measure, label = key
    stored_amount = connection.ops.adapt_decimalfield_value(amount, 18, 4)
    return str(period), _sql_time(start), user_id, model, str(measure), label, stored_amount


def _sql_time(at: datetime) -> Any:
    """A time as a parameter of raw SQL in this database."""
    return connection.ops.adapt_datetimefield_value(at)

"""Reads the provider balance over a period: as many readings as a chart can show, and the top-ups."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection

from billing.models import BalanceSnapshot, ProviderAccount, ProviderEntry

# The number of sampled moments; the index finds the last reading before each, however many readings there are.
MAX_POINTS = 160


@dataclass(frozen=True)
class Point:
    """A balance at a moment, in provider credits."""

    at: datetime
    balance: Decimal


@dataclass(frozen=True)
class BalanceCurve:
    """The balances of a period, oldest first, each valid until the next one, and the top-ups.

    The `balance` of a top-up is the amount that was added.
    """

    points: list[Point] = field(default_factory=list)
    top_ups: list[Point] = field(default_factory=list)


def read_curve(account: ProviderAccount, *, since: datetime, until: datetime) -> BalanceCurve:
    """Read the curve in one query. The first point is the balance known at `since`, if there was one."""
    step = (until - since) / MAX_POINTS
    moments = [since + n * step for n in range(MAX_POINTS)] + [until]
    values = ", ".join(["(%s)"] * len(moments))
    rows = BalanceSnapshot.objects.raw(
        # Only placeholders are put into the SQL text; every value is a parameter.
        f"""
        WITH moments(moment) AS (VALUES {values})
        SELECT DISTINCT reading.id, reading.account_id, reading.taken_at, reading.balance
        FROM moments JOIN billing_balancesnapshot AS reading ON reading.id = (
            SELECT id FROM billing_balancesnapshot
            WHERE account_id = %s AND taken_at <= moment ORDER BY taken_at DESC, id DESC LIMIT 1
        )
        UNION ALL
        SELECT -id, account_id, happened_at, amount FROM billing_providerentry
        WHERE account_id = %s AND kind = %s AND happened_at >= %s AND happened_at < %s
        """,  # noqa: S608
        [
            *map(_adapt, moments),
            account.pk,
            account.pk,
            ProviderEntry.Kind.TOP_UP,
            _adapt(since),
            _adapt(until),
        ],
    )
    # The query gives top-ups negative ids, to tell them from readings.
    ordered = sorted(rows, key=lambda row: (row.taken_at, row.pk))
    return BalanceCurve(
        points=[Point(max(row.taken_at, since), row.balance) for row in ordered if row.pk > 0],
        top_ups=[Point(row.taken_at, row.balance) for row in ordered if row.pk < 0],
    )


def curve_end(until: datetime, at: datetime) -> datetime:
    """Return where the curve stops: the end of the range, or now if that is earlier."""
    return min(until, at + timedelta(seconds=1))


def _adapt(at: datetime) -> object:
    """Convert a time to what this database compares in plain SQL."""
    return connection.ops.adapt_datetimefield_value(at)

"""The provider balance over a stretch of time: readings thinned to what a chart can show, and the top-ups in it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection

from billing.models import BalanceSnapshot, ProviderAccount, ProviderEntry

# So many moments are looked at; each finds the reading before it by the index, however many readings there are.
POINTS = 160


@dataclass(frozen=True)
class Point:
    """A balance at a moment, in provider credits."""

    at: datetime
    balance: Decimal


@dataclass(frozen=True)
class Curve:
    """Balances, oldest first, held until the next, and credits added."""

    points: list[Point] = field(default_factory=list)
    top_ups: list[Point] = field(default_factory=list)


def curve(account: ProviderAccount, *, since: datetime, until: datetime) -> Curve:
    """One query. The first point is what was known at `since`, if anything was."""
    step = (until - since) / POINTS
    moments = [since + n * step for n in range(POINTS)] + [until]
    values = ", ".join(["(%s)"] * len(moments))
    rows = BalanceSnapshot.objects.raw(
        # Constants of our own only; every value is a parameter.
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
        [*map(_moment, moments), account.pk, account.pk, ProviderEntry.Kind.TOP_UP, _moment(since), _moment(until)],
    )
    found = sorted(rows, key=lambda row: (row.taken_at, row.pk))
    readings = [row for row in found if row.pk > 0]
    return Curve(
        points=[Point(max(row.taken_at, since), row.balance) for row in readings],
        top_ups=[Point(row.taken_at, row.balance) for row in found if row.pk < 0],
    )


def _moment(at: datetime) -> object:
    """A time as this database compares it in plain SQL."""
    return connection.ops.adapt_datetimefield_value(at)


def ending(until: datetime, at: datetime) -> datetime:
    """Where the curve stops: at the range's end, or now when that is still to come."""
    return min(until, at + timedelta(seconds=1))

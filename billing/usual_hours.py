"""What an hour usually costs, by our own counts: the median of the same hour of day over the last fortnight."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from statistics import median

from django.conf import settings

from billing import tally
from billing.models import Measure, Period
from billing.tally import Row
from billing.windows import site_zone, window

DAYS = 14
# A younger installation knows no usual hour.
YOUNG = timedelta(days=3)
# So many days of the same kind (working day, weekend) say more than all days together.
ENOUGH_ALIKE = 3


@dataclass(frozen=True)
class Hour:
    """What was ordered in this hour so far, the bar, and what is usual, in provider credits. `is_young`: nothing is usual yet."""

    ordered: Decimal
    bar: Decimal
    usual: Decimal
    is_young: bool


def hour_at(at: datetime) -> Hour:
    """The hour that `at` falls into. One query."""
    hour = window(Period.HOUR, at)
    since = hour.starts_at - timedelta(days=DAYS)
    rows = tally.rows(Period.HOUR, since=since, until=hour.ends_at, measures=[Measure.ESTIMATED])
    ordered = sum((row.amount for row in rows if row.starts_at == hour.starts_at), Decimal(0))
    before = [row for row in rows if row.starts_at < hour.starts_at]
    factor, floor = settings.UNUSUAL_SPEND_FACTOR, settings.UNUSUAL_SPEND_FLOOR
    if not before or hour.starts_at - before[0].starts_at < YOUNG:
        return Hour(ordered, floor * factor, Decimal(0), is_young=True)
    usual = _usual(before, hour.local_start)
    return Hour(ordered, max(usual * factor, floor), usual, is_young=False)


def _usual(rows: Sequence[Row], local: datetime) -> Decimal:
    """The median over the days since the first row; a day without orders in that hour counts as zero."""
    zone = site_zone()
    by_day: dict[date, Decimal] = defaultdict(Decimal)
    for row in rows:
        then = row.starts_at.astimezone(zone)
        if then.hour == local.hour:
            by_day[then.date()] += row.amount
    first = rows[0].starts_at.astimezone(zone).date()
    days = [local.date() - timedelta(days=back) for back in range(1, (local.date() - first).days + 1)]
    alike = [day for day in days if _is_weekend(day) == _is_weekend(local.date())]
    return median(by_day[day] for day in (alike if len(alike) >= ENOUGH_ALIKE else days))


def _is_weekend(day: date) -> bool:
    return day.weekday() >= 5

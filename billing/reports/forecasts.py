"""Until when money lasts at the pace of now. A forecast is a guess and says so; it stops nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils import formats
from django.utils.translation import gettext as _

from billing.common.periods import site_zone
from billing.reports.readings import Sums

_HOUR = timedelta(hours=1)
# The newest hour, as far as it has come, counts most: one burst weighs less as soon as it is over.
_WEIGHTS = (4, 3, 2, 1)
# What happens later follows the mean of a whole day, nights and all.
_NEAR = timedelta(hours=3)
# Further than this nobody can see.
HORIZON = timedelta(days=60)


@dataclass(frozen=True)
class Pace:
    """Provider credits in a second: of the last hours, weighted, and of the last day."""

    now: float
    day: float


def pace(hours: Mapping[datetime, Sums], *, at: datetime) -> Pace:
    """From what was ordered in each of the last 24 hours, keyed by their starts."""
    weighted_cost = weighted_s = 0.0
    costs = {start: max(float(sums.cost), 0.0) for start, sums in hours.items()}
    for weight, back in zip(_WEIGHTS, range(len(_WEIGHTS)), strict=True):
        begin = at - at_offset(at) - back * _HOUR
        weighted_cost += weight * costs.get(begin, 0.0)
        weighted_s += weight * (min(at, begin + _HOUR) - begin).total_seconds()
    first = min((start for start, cost in costs.items() if cost), default=None)
    if first is None:
        return Pace(0.0, 0.0)
    passed_s = max((at - first).total_seconds(), _HOUR.total_seconds())
    return Pace(weighted_cost / max(weighted_s, 1.0), sum(costs.values()) / passed_s)


def at_offset(at: datetime) -> timedelta:
    """How far into its hour, on the site's clock, a moment is."""
    local = at.astimezone(site_zone())
    return timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


def ends_at(left: Decimal, pace: Pace, *, at: datetime) -> datetime | None:
    """When so many provider credits are used up; None when that is past the HORIZON or nothing is being spent."""
    if left <= 0:
        return at
    near = pace.now * _NEAR.total_seconds()
    if near >= float(left):
        return at + timedelta(seconds=float(left) / pace.now)
    if pace.day <= 0:
        return None
    later_s = (float(left) - near) / pace.day
    return at + _NEAR + timedelta(seconds=later_s) if later_s < (HORIZON - _NEAR).total_seconds() else None


def balance_at(start: Decimal, pace: Pace, *, after: timedelta) -> Decimal:
    """What a balance will be after a while at this pace; never below zero."""
    near_s, later_s = min(after, _NEAR).total_seconds(), max(after - _NEAR, timedelta()).total_seconds()
    return max(start - Decimal(pace.now * near_s + pace.day * later_s), Decimal(0))


def ahead(start: Decimal, pace: Pace, *, at: datetime, until: datetime) -> list[tuple[datetime, Decimal]]:
    """The balance from now to `until` at this pace; nothing when that is not to come, or nothing is being spent."""
    if until <= at or (pace.now <= 0 and pace.day <= 0):
        return []
    turns = sorted({at, min(at + _NEAR, until), until})
    return [(then, balance_at(start, pace, after=then - at)) for then in turns]


def moment(then: datetime, *, at: datetime) -> str:
    """A time to come as people say it: `16:40`, `tomorrow 11:00`, `3 Dec`; no finer than a guess deserves."""
    zone = site_zone()
    is_near = then - at < timedelta(hours=12)
    local, today = _rounded(then, minutes=10 if is_near else 60).astimezone(zone), at.astimezone(zone).date()
    clock = formats.time_format(local.time(), "TIME_FORMAT")
    days = (local.date() - today).days
    if days <= 0:
        return clock
    if days == 1:
        return _("tomorrow %(time)s") % {"time": clock}
    return formats.date_format(local, "MONTH_DAY_FORMAT")


def _rounded(then: datetime, *, minutes: int) -> datetime:
    step_s = minutes * 60
    return then + timedelta(seconds=(-then.timestamp() + step_s / 2) % step_s - step_s / 2)

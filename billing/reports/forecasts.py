"""Forecasts when provider credits run out at the current pace of spending.

Forecasts are only shown; nothing is stopped because of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils import formats
from django.utils.translation import gettext as _

from billing.common.periods import site_zone
from billing.reports.cost_totals import Sums

_HOUR = timedelta(hours=1)
# Weights of the last hours, newest first, so that a burst of orders counts less and less after it is over.
_WEIGHTS = (4, 3, 2, 1)
# The forecast assumes the current pace for this long, and after that the mean of a whole day, which includes the night.
_CURRENT_PACE_PERIOD = timedelta(hours=3)
HORIZON = timedelta(days=60)


@dataclass(frozen=True)
class Pace:
    """Provider credits per second: the weighted mean of the last hours, and the mean of the last day."""

    now: float
    day: float


def measure_pace(hours: Mapping[datetime, Sums], *, at: datetime) -> Pace:
    """Compute the pace from the cost ordered in each of the last 24 hours, keyed by their starts."""
    weighted_cost = weighted_s = 0.0
    costs = {start: max(float(sums.cost), 0.0) for start, sums in hours.items()}
    for weight, hours_back in zip(_WEIGHTS, range(len(_WEIGHTS)), strict=True):
        start = at - _time_since_hour(at) - hours_back * _HOUR
        weighted_cost += weight * costs.get(start, 0.0)
        weighted_s += weight * (min(at, start + _HOUR) - start).total_seconds()
    first = min((start for start, cost in costs.items() if cost), default=None)
    if first is None:
        return Pace(0.0, 0.0)
    elapsed_s = max((at - first).total_seconds(), _HOUR.total_seconds())
    return Pace(weighted_cost / max(weighted_s, 1.0), sum(costs.values()) / elapsed_s)


def estimate_end(left: Decimal, pace: Pace, *, at: datetime) -> datetime | None:
    """Return when `left` provider credits are used up; None if that is beyond the HORIZON or nothing is being spent."""
    if left <= 0:
        return at
    current_cost = pace.now * _CURRENT_PACE_PERIOD.total_seconds()
    if current_cost >= float(left):
        return at + timedelta(seconds=float(left) / pace.now)
    if pace.day <= 0:
        return None
    later_s = (float(left) - current_cost) / pace.day
    return (
        at + _CURRENT_PACE_PERIOD + timedelta(seconds=later_s)
        if later_s < (HORIZON - _CURRENT_PACE_PERIOD).total_seconds()
        else None
    )


def forecast_balance(start: Decimal, pace: Pace, *, after: timedelta) -> Decimal:
    """Return the balance when the time `after` has passed at this pace; never below zero."""
    current_s, later_s = (
        min(after, _CURRENT_PACE_PERIOD).total_seconds(),
        max(after - _CURRENT_PACE_PERIOD, timedelta()).total_seconds(),
    )
    return max(start - Decimal(pace.now * current_s + pace.day * later_s), Decimal(0))


def forecast_points(start: Decimal, pace: Pace, *, at: datetime, until: datetime) -> list[tuple[datetime, Decimal]]:
    """Return the balance from now to `until` at this pace; empty when `until` is past or nothing is being spent."""
    if until <= at or (pace.now <= 0 and pace.day <= 0):
        return []
    moments = sorted({at, min(at + _CURRENT_PACE_PERIOD, until), until})
    return [(moment, forecast_balance(start, pace, after=moment - at)) for moment in moments]


def format_forecast(moment: datetime, *, at: datetime) -> str:
    """Format a future time as `16:40`, `tomorrow 11:00` or `3 Dec`, rounded because it is an estimate."""
    zone = site_zone()
    is_soon = moment - at < timedelta(hours=12)
    local, today = _round(moment, minutes=10 if is_soon else 60).astimezone(zone), at.astimezone(zone).date()
    time = formats.time_format(local.time(), "TIME_FORMAT")
    days = (local.date() - today).days
    if days <= 0:
        return time
    if days == 1:
        return _("tomorrow %(time)s") % {"time": time}
    return formats.date_format(local, "MONTH_DAY_FORMAT")


def _time_since_hour(at: datetime) -> timedelta:
    """Return the time since the hour began on the site's clock."""
    local = at.astimezone(site_zone())
    return timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


def _round(moment: datetime, *, minutes: int) -> datetime:
    step_s = minutes * 60
    return moment + timedelta(seconds=(-moment.timestamp() + step_s / 2) % step_s - step_s / 2)

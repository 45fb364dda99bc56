"""Calendar windows in the site's time zone: a window is one hour, one day or one month, for example of a budget.

When daylight saving time ends, the repeated hour gives two windows. A day on which the clock changes is one window of
23 or 25 hours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings

from billing.models import Period

_HOUR, _SECOND, _INSTANT = timedelta(hours=1), timedelta(seconds=1), timedelta(microseconds=1)


@dataclass(frozen=True, order=True)
class Window:
    """One hour, day or month: from `starts_at` (inclusive) to `ends_at` (exclusive), both in UTC."""

    starts_at: datetime
    ends_at: datetime
    period: Period

    @property
    def local_start(self) -> datetime:
        """The start in the site's time zone."""
        return self.starts_at.astimezone(site_zone())

    @property
    def length_s(self) -> float:
        return (self.ends_at - self.starts_at).total_seconds()


def site_zone() -> ZoneInfo:
    """The time zone in which the site's days begin."""
    return ZoneInfo(settings.TIME_ZONE)


def window_at(period: Period | str, at: datetime) -> Window:
    """The window of this period that contains `at`."""
    period = Period(period)
    local = at.astimezone(site_zone())
    if period == Period.HOUR:
        # The minutes are subtracted from the UTC time, so that a repeated hour gives two windows.
        start = at.astimezone(UTC) - timedelta(
            minutes=local.minute, seconds=local.second, microseconds=local.microsecond
        )
        return Window(
            _find_offset_change(start, at + _INSTANT) or start,
            _find_offset_change(at, start + _HOUR) or start + _HOUR,
            period,
        )
    first_day = local.date() if period == Period.DAY else local.date().replace(day=1)
    return Window(_day_start(first_day), _day_start(_next_first_day(first_day, period)), period)


def next_window(window: Window) -> Window:
    """The next window of the same period."""
    return window_at(window.period, window.ends_at)


def windows_between(period: Period | str, since: datetime, until: datetime) -> Iterator[Window]:
    """Yield every window of this period that overlaps [since, until), in order."""
    window = window_at(period, since)
    while window.starts_at < until:
        yield window
        window = next_window(window)


def day_window(day: date) -> Window:
    """The window of a calendar day."""
    return Window(_day_start(day), _day_start(day + timedelta(days=1)), Period.DAY)


def _next_first_day(first_day: date, period: Period) -> date:
    if period == Period.DAY:
        return first_day + timedelta(days=1)
    return (first_day + timedelta(days=32)).replace(day=1)


def _find_offset_change(since: datetime, until: datetime) -> datetime | None:
    """The second at which the UTC offset changes in [since, until), or None.

    An hour ends there if the offset changes by half an hour.
    """
    since, until, zone = since.astimezone(UTC), until.astimezone(UTC), site_zone()
    old_offset = since.astimezone(zone).utcoffset()
    if (until - _INSTANT).astimezone(zone).utcoffset() == old_offset:
        return None
    while until - since > _SECOND:
        middle = since + (until - since) / 2
        since, until = (middle, until) if middle.astimezone(zone).utcoffset() == old_offset else (since, middle)
    return until.replace(microsecond=0)


def _day_start(day: date) -> datetime:
    """When a day begins: at midnight, or at the clock change if that skips midnight."""
    return datetime.combine(day, time(), tzinfo=site_zone()).astimezone(UTC)

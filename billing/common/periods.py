"""Calendar windows in the site's time zone: the hour, the day, the month that a moment falls into.

The hour that daylight saving repeats is two windows; the day it shortens or lengthens is one, of 23 or 25 hours.
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
    """From `starts_at` (included) until `ends_at` (not), both in UTC."""

    starts_at: datetime
    ends_at: datetime
    period: Period

    @property
    def local_start(self) -> datetime:
        """The start on the site's clock."""
        return self.starts_at.astimezone(site_zone())

    @property
    def length_s(self) -> float:
        return (self.ends_at - self.starts_at).total_seconds()


def site_zone() -> ZoneInfo:
    """Where the site's days begin."""
    return ZoneInfo(settings.TIME_ZONE)


def window_at(period: Period | str, at: datetime) -> Window:
    """The window of this kind that `at` falls into."""
    period = Period(period)
    local = at.astimezone(site_zone())
    if period == Period.HOUR:
        # Counted back from the moment itself, so that a repeated hour stays two.
        start = at.astimezone(UTC) - timedelta(
            minutes=local.minute, seconds=local.second, microseconds=local.microsecond
        )
        return Window(_turn(start, at + _INSTANT) or start, _turn(at, start + _HOUR) or start + _HOUR, period)
    first = local.date() if period == Period.DAY else local.date().replace(day=1)
    return Window(_midnight(first), _midnight(_after(first, period)), period)


def next_window(one: Window) -> Window:
    """The next window of the same kind."""
    return window_at(one.period, one.ends_at)


def windows_between(period: Period | str, since: datetime, until: datetime) -> Iterator[Window]:
    """Every window of this kind that has a part in [since, until), in order."""
    one = window_at(period, since)
    while one.starts_at < until:
        yield one
        one = next_window(one)


def day_window(day: date) -> Window:
    """The window of one calendar day of the site."""
    return Window(_midnight(day), _midnight(day + timedelta(days=1)), Period.DAY)


def _after(first: date, period: Period) -> date:
    if period == Period.DAY:
        return first + timedelta(days=1)
    return (first + timedelta(days=32)).replace(day=1)


def _turn(since: datetime, until: datetime) -> datetime | None:
    """When the clock is turned in [since, until), to the second: where it is turned by half an hour, the hour ends there."""
    since, until, zone = since.astimezone(UTC), until.astimezone(UTC), site_zone()
    before = since.astimezone(zone).utcoffset()
    if (until - _INSTANT).astimezone(zone).utcoffset() == before:
        return None
    while until - since > _SECOND:
        middle = since + (until - since) / 2
        since, until = (middle, until) if middle.astimezone(zone).utcoffset() == before else (since, middle)
    return until.replace(microsecond=0)


def _midnight(day: date) -> datetime:
    """When a day begins. Where the clock jumps over midnight, its first moment is the jump."""
    return datetime.combine(day, time(), tzinfo=site_zone()).astimezone(UTC)

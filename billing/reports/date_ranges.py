"""The date range of a report: today, the last days, a year, or two dates that the reader entered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from urllib.parse import urlencode

from django.utils import formats
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from billing.common.periods import Window, day_window, site_zone, window_at, windows_between
from billing.models import Period

# Longer ranges are shown by month, in whole months.
MAX_DAYS_BY_DAY = 92
MAX_DAYS = 5 * 366

TODAY, WEEK, DAYS_30, YEAR, DATES = "today", "7d", "30d", "year", "dates"
RANGE_NAMES: dict[str, Promise] = {
    TODAY: gettext_lazy("Today"),
    WEEK: gettext_lazy("7 days"),
    DAYS_30: gettext_lazy("30 days"),
    YEAR: gettext_lazy("Year"),
}


@dataclass(frozen=True)
class DateRange:
    """A range from `since` until `until` (exclusive), in whole windows: hours, days or months of the site's calendar.

    A chart has a bar for each `bar_period`; counts with labels and counts by user are read by `sum_period`.
    """

    key: str
    since: datetime
    until: datetime
    bar_period: Period
    sum_period: Period

    @cached_property
    def windows(self) -> list[Window]:
        """The windows of a chart's bars."""
        return list(windows_between(self.bar_period, self.since, self.until))

    @cached_property
    def days(self) -> tuple[date, date]:
        """The first and the last day on the site's calendar."""
        zone = site_zone()
        last = self.until.astimezone(zone) - timedelta(seconds=1)
        return self.since.astimezone(zone).date(), last.date()

    @cached_property
    def query(self) -> str:
        """The query string for URLs of this range."""
        first, last = self.days
        return urlencode({"from": first, "to": last} if self.key == DATES else {"range": self.key})

    @property
    def title(self) -> str:
        """`Today`, `7 days`, or the dates."""
        first, last = self.days
        if self.key in RANGE_NAMES:
            return str(RANGE_NAMES[self.key])
        if first == last:
            return formats.date_format(first)
        return f"{formats.date_format(first)} – {formats.date_format(last)}"


@dataclass(frozen=True)
class RangeQuery:
    """A parsed request: a range that can be shown, the texts that were entered, and an error for each invalid one."""

    range: DateRange
    typed: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)


def named_range(key: str, *, at: datetime) -> DateRange:
    """Return the range named `key` (one of RANGE_NAMES). It ends with the day, or the month for a year, of `at`."""
    today = window_at(Period.DAY, at)
    if key == YEAR:
        month = window_at(Period.MONTH, at)
        first = month.local_start.replace(year=month.local_start.year - 1) + timedelta(days=32)
        return DateRange(YEAR, window_at(Period.MONTH, first).starts_at, month.ends_at, Period.MONTH, Period.MONTH)
    if key in (WEEK, DAYS_30):
        days_back = timedelta(days=6 if key == WEEK else 29)
        since = day_window(today.local_start.date() - days_back).starts_at
        return DateRange(key, since, today.ends_at, Period.DAY, Period.DAY)
    return DateRange(TODAY, today.starts_at, today.ends_at, Period.HOUR, Period.DAY)


def range_of_days(first: date, last: date) -> DateRange:
    """Return the range from the first day to the end of the last; in whole months when longer than MAX_DAYS_BY_DAY."""
    since, until = day_window(first).starts_at, day_window(last).ends_at
    days = (last - first).days + 1
    if days > MAX_DAYS_BY_DAY:
        until = window_at(Period.MONTH, until - timedelta(seconds=1)).ends_at
        return DateRange(DATES, window_at(Period.MONTH, since).starts_at, until, Period.MONTH, Period.MONTH)
    return DateRange(DATES, since, until, Period.HOUR if days == 1 else Period.DAY, Period.DAY)


def parse_range(query: Mapping[str, str], *, at: datetime) -> RangeQuery:
    """Parse the URL parameters `range`, `from` and `to`. A range that cannot be shown is replaced by today, with errors."""
    typed = {name: query.get(name, "").strip() for name in ("from", "to")}
    key = query.get("range", "")
    if not any(typed.values()):
        return RangeQuery(named_range(key if key in RANGE_NAMES else TODAY, at=at), typed)
    today = window_at(Period.DAY, at).local_start.date()
    days: dict[str, date] = {}
    errors: dict[str, str] = {}
    for name, text in typed.items():
        try:
            # Without a first date the range is the last day alone; without a last date it ends today.
            days[name] = date.fromisoformat(text) if text else (today if name == "to" else _date_or(typed["to"], today))
        except ValueError:
            errors[name] = _("“%(text)s” is not a date. Write it like %(example)s.") % {
                "text": text[:40],
                "example": today.isoformat(),
            }
    errors |= {} if errors else _find_errors(days["from"], days["to"], today)
    if errors:
        return RangeQuery(named_range(TODAY, at=at), typed, errors)
    return RangeQuery(range_of_days(days["from"], days["to"]), typed)


def _date_or(text: str, default: date) -> date:
    """Parse a date; return the default if it is invalid, because the caller reports that error already."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return default


def _find_errors(first: date, last: date, today: date) -> dict[str, str]:
    if first > today:
        return {"from": _("This day is in the future.")}
    if last < first:
        return {"to": _("The last day is before the first.")}
    if first.year < 2020:
        return {"from": _("There are no figures from before 2020.")}
    if (last - first).days >= MAX_DAYS:
        years = MAX_DAYS // 366
        return {"to": ngettext("Choose at most %(n)d year.", "Choose at most %(n)d years.", years) % {"n": years}}
    return {}

"""The stretch of time that the page speaks of: today, some days, a year, or two dates that a person typed."""

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
MOST_DAYS_BY_DAY = 92
MOST_DAYS = 5 * 366

TODAY, WEEK, DAYS_30, YEAR, DATES = "today", "7d", "30d", "year", "dates"
NAMES: dict[str, Promise] = {
    TODAY: gettext_lazy("Today"),
    WEEK: gettext_lazy("7 days"),
    DAYS_30: gettext_lazy("30 days"),
    YEAR: gettext_lazy("Year"),
}


@dataclass(frozen=True)
class Range:
    """From `since` until `until` (not included), whole windows of `bars`; what has labels is summed by `sums`."""

    key: str
    since: datetime
    until: datetime
    bars: Period
    sums: Period

    @cached_property
    def windows(self) -> list[Window]:
        """One for each bar of a chart."""
        return list(windows_between(self.bars, self.since, self.until))

    @cached_property
    def days(self) -> tuple[date, date]:
        """The first and the last day on the site's calendar."""
        zone = site_zone()
        last = self.until.astimezone(zone) - timedelta(seconds=1)
        return self.since.astimezone(zone).date(), last.date()

    @cached_property
    def query(self) -> str:
        """What addresses of this range end with."""
        first, last = self.days
        return urlencode({"from": first, "to": last} if self.key == DATES else {"range": self.key})

    @property
    def words(self) -> str:
        """`Today`, `7 days`, or the dates."""
        first, last = self.days
        if self.key in NAMES:
            return str(NAMES[self.key])
        if first == last:
            return formats.date_format(first)
        return f"{formats.date_format(first)} – {formats.date_format(last)}"


@dataclass(frozen=True)
class Asked:
    """What a person asked for: a range that can be shown, what they typed, and what is wrong with it, if anything."""

    range: Range
    typed: Mapping[str, str]
    problems: Mapping[str, str] = field(default_factory=dict)


def named(key: str, *, at: datetime) -> Range:
    """One of NAMES, ending with the day (the month, for a year) that `at` falls into."""
    today = window_at(Period.DAY, at)
    if key == YEAR:
        month = window_at(Period.MONTH, at)
        first = month.local_start.replace(year=month.local_start.year - 1) + timedelta(days=32)
        return Range(YEAR, window_at(Period.MONTH, first).starts_at, month.ends_at, Period.MONTH, Period.MONTH)
    if key in (WEEK, DAYS_30):
        back = timedelta(days=6 if key == WEEK else 29)
        since = day_window(today.local_start.date() - back).starts_at
        return Range(key, since, today.ends_at, Period.DAY, Period.DAY)
    return Range(TODAY, today.starts_at, today.ends_at, Period.HOUR, Period.DAY)


def of_dates(first: date, last: date) -> Range:
    """From the first day until the end of the last; in whole months when that is more than MOST_DAYS_BY_DAY."""
    since, until = day_window(first).starts_at, day_window(last).ends_at
    days = (last - first).days + 1
    if days > MOST_DAYS_BY_DAY:
        until = window_at(Period.MONTH, until - timedelta(seconds=1)).ends_at
        return Range(DATES, window_at(Period.MONTH, since).starts_at, until, Period.MONTH, Period.MONTH)
    return Range(DATES, since, until, Period.HOUR if days == 1 else Period.DAY, Period.DAY)


def asked(query: Mapping[str, str], *, at: datetime) -> Asked:
    """What `range`, `from` and `to` of an address ask for. What cannot be shown becomes today, with the reason."""
    typed = {name: query.get(name, "").strip() for name in ("from", "to")}
    key = query.get("range", "")
    if not any(typed.values()):
        return Asked(named(key if key in NAMES else TODAY, at=at), typed)
    today = window_at(Period.DAY, at).local_start.date()
    days: dict[str, date] = {}
    problems: dict[str, str] = {}
    for name, text in typed.items():
        try:
            # One date alone is that one day; an open end reaches until today.
            days[name] = date.fromisoformat(text) if text else (today if name == "to" else _date_or(typed["to"], today))
        except ValueError:
            problems[name] = _("“%(text)s” is no date: write it like %(example)s.") % {
                "text": text[:40],
                "example": today.isoformat(),
            }
    problems |= {} if problems else _wrong(days["from"], days["to"], today)
    if problems:
        return Asked(named(TODAY, at=at), typed, problems)
    return Asked(of_dates(days["from"], days["to"]), typed)


def _date_or(text: str, other: date) -> date:
    """The date written in `text`; `other` when it is none (which is complained about where it stands)."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return other


def _wrong(first: date, last: date, today: date) -> dict[str, str]:
    if first > today:
        return {"from": _("This day is still to come.")}
    if last < first:
        return {"to": _("The last day is before the first.")}
    if first.year < 2020:
        return {"from": _("Nothing was counted so long ago: begin in 2020 or later.")}
    if (last - first).days >= MOST_DAYS:
        years = MOST_DAYS // 366
        return {"to": ngettext("Choose at most %(n)d year.", "Choose at most %(n)d years.", years) % {"n": years}}
    return {}

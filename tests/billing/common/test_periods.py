"""Calendar windows in the site's time zone: each time falls into exactly one hour, one day and one month."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from billing.common.periods import Window, day_window, next_window, window_at, windows_between
from billing.models import Period

INSTANT = timedelta(microseconds=1)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Havana",
    "Africa/Casablanca",
    "Pacific/Apia",
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def length_h(window: Window) -> float:
    return window.length_s / 3600


def format_bounds(window: Window) -> tuple[str, str]:
    """The start and the end, in UTC."""
    return f"{window.starts_at:%Y-%m-%d %H:%M}", f"{window.ends_at:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize("zone", ZONES)
@given(seconds=st.integers(0, 25 * 365 * 86_400), period=st.sampled_from(Period))
def test_windows_follow_each_other_without_a_gap(zone: str, seconds: int, period: Period) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("billing.common.periods.settings.TIME_ZONE", zone)
        moment = datetime(2011, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        window = window_at(period, moment)
        assert window.starts_at <= moment < window.ends_at
        assert window_at(period, window.starts_at) == window == window_at(period, window.ends_at - INSTANT)
        assert next_window(window).starts_at == window.ends_at
        day = window_at(Period.DAY, moment)
        assert day.starts_at <= window_at(Period.HOUR, moment).starts_at
        assert window_at(Period.MONTH, moment).ends_at >= day.ends_at


def test_the_days_of_23_and_25_hours_in_berlin(settings: Settings) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    short, long = day_window(date(2026, 3, 29)), day_window(date(2026, 10, 25))
    assert (format_bounds(short), length_h(short)) == (("2026-03-28 23:00", "2026-03-29 22:00"), 23)
    assert (format_bounds(long), length_h(long)) == (("2026-10-24 22:00", "2026-10-25 23:00"), 25)
    assert len(list(windows_between(Period.HOUR, short.starts_at, short.ends_at))) == 23
    # The hour from two to three is repeated, and each of the two has its own budget.
    repeated = [
        window for window in windows_between(Period.HOUR, long.starts_at, long.ends_at) if window.local_start.hour == 2
    ]
    assert [format_bounds(window)[0] for window in repeated] == ["2026-10-25 00:00", "2026-10-25 01:00"]
    assert repeated[0] != repeated[1]


def test_a_day_begins_at_one_where_midnight_is_skipped(settings: Settings) -> None:
    settings.TIME_ZONE = "America/Sao_Paulo"
    jump = utc("2018-11-04T03:00")
    assert window_at(Period.DAY, jump) == day_window(date(2018, 11, 4))
    assert window_at(Period.DAY, jump - INSTANT) == day_window(date(2018, 11, 3))
    assert format_bounds(day_window(date(2018, 11, 4))) == ("2018-11-04 03:00", "2018-11-05 02:00")
    assert day_window(date(2018, 11, 4)).local_start.hour == 1
    # When summer time ended, the hour from 23:00 was repeated: that day has 25 hours.
    assert length_h(day_window(date(2018, 2, 17))) == 25


def test_the_half_hour_clock_change_of_lord_howe(settings: Settings) -> None:
    settings.TIME_ZONE = "Australia/Lord_Howe"
    autumn, spring = day_window(date(2026, 4, 5)), day_window(date(2026, 10, 4))
    assert (length_h(autumn), length_h(spring)) == (24.5, 23.5)
    for day in (autumn, spring):
        hours = list(windows_between(Period.HOUR, day.starts_at, day.ends_at))
        assert sum(hour.length_s for hour in hours) == day.length_s
        assert all(before.ends_at == after.starts_at for before, after in pairwise(hours))
        assert sorted({length_h(hour) for hour in hours}) == [0.5, 1]


def test_a_skipped_day(settings: Settings) -> None:
    settings.TIME_ZONE = "Pacific/Apia"
    last = window_at(Period.DAY, utc("2011-12-30T09:59"))
    assert next_window(last).local_start.date() == date(2011, 12, 31)
    assert length_h(last) == 24


@pytest.mark.parametrize(
    ("day", "days"),
    [("2026-01-31", 31), ("2026-02-28", 28), ("2028-02-29", 29), ("2026-04-30", 30), ("2026-12-31", 31)],
)
def test_months_end_with_their_last_day(settings: Settings, day: str, days: int) -> None:
    settings.TIME_ZONE = "UTC"
    last = utc(f"{day}T23:59:59.999999")
    month = window_at(Period.MONTH, last)
    assert month.ends_at == last + INSTANT
    assert length_h(month) == 24 * days
    assert next_window(month).starts_at == window_at(Period.DAY, last).ends_at
    assert len(list(windows_between(Period.DAY, month.starts_at, month.ends_at))) == days


def test_months_are_in_the_site_s_time_zone(settings: Settings) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    assert format_bounds(window_at("month", utc("2026-09-30T15:00"))) == ("2026-09-30 15:00", "2026-10-31 15:00")


def test_f82_no_second_belongs_to_two_days(settings: Settings) -> None:
    """Python's clocks have no 23:59:60: the machine repeats or smears a leap second, so it belongs to one day."""
    settings.TIME_ZONE = "Europe/Berlin"
    for midnight in ("2016-12-31T23:00", "2026-03-28T23:00", "2026-10-24T22:00"):
        before, after = utc(midnight) - INSTANT, utc(midnight)
        assert window_at(Period.DAY, before).ends_at == after == window_at(Period.DAY, after).starts_at
        assert window_at(Period.DAY, before) != window_at(Period.DAY, after)

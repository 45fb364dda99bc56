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


def hours(one: Window) -> float:
    return one.length_s / 3600


def around(one: Window) -> tuple[str, str]:
    """From when until when, in UTC."""
    return f"{one.starts_at:%Y-%m-%d %H:%M}", f"{one.ends_at:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize("zone", ZONES)
@given(seconds=st.integers(0, 25 * 365 * 86_400), period=st.sampled_from(Period))
def test_windows_follow_each_other_without_a_gap(zone: str, seconds: int, period: Period) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("billing.common.periods.settings.TIME_ZONE", zone)
        moment = datetime(2011, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        one = window_at(period, moment)
        assert one.starts_at <= moment < one.ends_at
        assert window_at(period, one.starts_at) == one == window_at(period, one.ends_at - INSTANT)
        assert next_window(one).starts_at == one.ends_at
        day = window_at(Period.DAY, moment)
        assert day.starts_at <= window_at(Period.HOUR, moment).starts_at
        assert window_at(Period.MONTH, moment).ends_at >= day.ends_at


def test_the_days_of_23_and_25_hours_in_berlin(settings: Settings) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    short, long = day_window(date(2026, 3, 29)), day_window(date(2026, 10, 25))
    assert (around(short), hours(short)) == (("2026-03-28 23:00", "2026-03-29 22:00"), 23)
    assert (around(long), hours(long)) == (("2026-10-24 22:00", "2026-10-25 23:00"), 25)
    assert len(list(windows_between(Period.HOUR, short.starts_at, short.ends_at))) == 23
    # The hour from two to three comes twice, and each has its own budget.
    twice = [one for one in windows_between(Period.HOUR, long.starts_at, long.ends_at) if one.local_start.hour == 2]
    assert [around(one)[0] for one in twice] == ["2026-10-25 00:00", "2026-10-25 01:00"]
    assert twice[0] != twice[1]


def test_a_day_begins_at_one_where_midnight_is_skipped(settings: Settings) -> None:
    settings.TIME_ZONE = "America/Sao_Paulo"
    jump = utc("2018-11-04T03:00")
    assert window_at(Period.DAY, jump) == day_window(date(2018, 11, 4))
    assert window_at(Period.DAY, jump - INSTANT) == day_window(date(2018, 11, 3))
    assert around(day_window(date(2018, 11, 4))) == ("2018-11-04 03:00", "2018-11-05 02:00")
    assert day_window(date(2018, 11, 4)).local_start.hour == 1
    # In autumn eleven at night came twice: one day of 25 hours.
    assert hours(day_window(date(2018, 2, 17))) == 25


def test_the_half_hour_clock_change_of_lord_howe(settings: Settings) -> None:
    settings.TIME_ZONE = "Australia/Lord_Howe"
    autumn, spring = day_window(date(2026, 4, 5)), day_window(date(2026, 10, 4))
    assert (hours(autumn), hours(spring)) == (24.5, 23.5)
    for day in (autumn, spring):
        parts = list(windows_between(Period.HOUR, day.starts_at, day.ends_at))
        assert sum(one.length_s for one in parts) == day.length_s
        assert all(before.ends_at == after.starts_at for before, after in pairwise(parts))
        assert sorted({hours(one) for one in parts}) == [0.5, 1]


def test_a_skipped_day(settings: Settings) -> None:
    settings.TIME_ZONE = "Pacific/Apia"
    last = window_at(Period.DAY, utc("2011-12-30T09:59"))
    assert next_window(last).local_start.date() == date(2011, 12, 31)
    assert hours(last) == 24


@pytest.mark.parametrize(
    ("day", "days"),
    [("2026-01-31", 31), ("2026-02-28", 28), ("2028-02-29", 29), ("2026-04-30", 30), ("2026-12-31", 31)],
)
def test_months_end_with_their_last_day(settings: Settings, day: str, days: int) -> None:
    settings.TIME_ZONE = "UTC"
    last = utc(f"{day}T23:59:59.999999")
    month = window_at(Period.MONTH, last)
    assert month.ends_at == last + INSTANT
    assert hours(month) == 24 * days
    assert next_window(month).starts_at == window_at(Period.DAY, last).ends_at
    assert len(list(windows_between(Period.DAY, month.starts_at, month.ends_at))) == days


def test_months_are_in_the_site_s_time_zone(settings: Settings) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    assert around(window_at("month", utc("2026-09-30T15:00"))) == ("2026-09-30 15:00", "2026-10-31 15:00")


def test_f82_no_second_belongs_to_two_days(settings: Settings) -> None:
    """Our clocks know no 23:59:60: the machine repeats or smears that second, and either way it is of one day."""
    settings.TIME_ZONE = "Europe/Berlin"
    for midnight in ("2016-12-31T23:00", "2026-03-28T23:00", "2026-10-24T22:00"):
        before, after = utc(midnight) - INSTANT, utc(midnight)
        assert window_at(Period.DAY, before).ends_at == after == window_at(Period.DAY, after).starts_at
        assert window_at(Period.DAY, before) != window_at(Period.DAY, after)

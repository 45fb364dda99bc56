"""Date ranges: named ranges, entered dates, and the errors of invalid dates."""

from datetime import date

import pytest

from billing.models import Period
from billing.reports import date_ranges
from tests.billing.reports.conftest import AT, BERLIN

pytestmark = pytest.mark.usefixtures("in_berlin")


@pytest.mark.parametrize(
    ("key", "first", "last", "bars", "windows"),
    [
        ("today", "2026-09-01", "2026-09-01", Period.HOUR, 24),
        ("7d", "2026-08-26", "2026-09-01", Period.DAY, 7),
        ("30d", "2026-08-03", "2026-09-01", Period.DAY, 30),
        ("year", "2025-10-01", "2026-09-30", Period.MONTH, 12),
    ],
)
def test_a_named_range_covers_whole_days_of_the_site(
    key: str, first: str, last: str, bars: Period, windows: int
) -> None:
    date_range = date_ranges.named_range(key, at=AT)
    assert date_range.days == (date.fromisoformat(first), date.fromisoformat(last))
    assert (date_range.bar_period, len(date_range.windows)) == (bars, windows)
    assert date_range.since.astimezone(BERLIN).hour == 0
    assert date_range.query == f"range={key}"
    assert date_range.title == str(date_ranges.RANGE_NAMES[key])


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-03-30", 24)], ids=["spring", "autumn", "usual"]
)
def test_a_day_has_a_bar_for_each_of_its_hours(day: str, hours: int) -> None:
    only_day = date.fromisoformat(day)
    assert len(date_ranges.range_of_days(only_day, only_day).windows) == hours


@pytest.mark.parametrize(
    ("first", "last", "bars", "days"),
    [
        ("2026-08-31", "2026-08-31", Period.HOUR, ("2026-08-31", "2026-08-31")),
        ("2026-06-01", "2026-08-31", Period.DAY, ("2026-06-01", "2026-08-31")),
        ("2026-05-10", "2026-08-20", Period.MONTH, ("2026-05-01", "2026-08-31")),
    ],
)
def test_long_ranges_are_extended_to_whole_months(first: str, last: str, bars: Period, days: tuple[str, str]) -> None:
    query = date_ranges.parse_range({"from": first, "to": f" {last} "}, at=AT)
    assert not query.errors
    assert query.range.bar_period == bars
    assert tuple(day.isoformat() for day in query.range.days) == days
    assert query.range.query == f"from={days[0]}&to={days[1]}"
    assert query.typed == {"from": first, "to": last}


def test_without_a_last_day_the_range_ends_today_and_without_a_first_it_is_one_day() -> None:
    assert date_ranges.parse_range({"from": "2026-08-30"}, at=AT).range.title == "30 Aug 2026 – 1 Sep 2026"
    assert date_ranges.parse_range({"to": "2026-08-30"}, at=AT).range.title == "30 Aug 2026"
    assert date_ranges.parse_range({"range": "nonsense"}, at=AT).range.key == date_ranges.TODAY


@pytest.mark.parametrize(
    ("typed", "field", "error"),
    [
        ({"from": "yesterday", "to": "2026-09-01"}, "from", "“yesterday” is not a date. Write it like 2026-09-01."),
        ({"from": "", "to": "2026-02-30"}, "to", "“2026-02-30” is not a date. Write it like 2026-09-01."),
        ({"from": "2026-09-02"}, "from", "This day is in the future."),
        ({"from": "2026-09-01", "to": "2026-08-31"}, "to", "The last day is before the first."),
        (
            {"from": "2019-12-31", "to": "2020-01-02"},
            "from",
            "There are no figures from before 2020.",
        ),
        ({"from": "2020-01-01", "to": "2026-08-31"}, "to", "Choose at most 5 years."),
    ],
)
def test_an_invalid_date_gets_an_error_and_keeps_its_text(typed: dict[str, str], field: str, error: str) -> None:
    query = date_ranges.parse_range(typed, at=AT)
    assert query.errors == {field: error}
    assert query.typed[field] == typed[field]
    assert query.range.key == date_ranges.TODAY

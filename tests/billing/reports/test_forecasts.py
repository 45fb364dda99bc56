"""The pace of spending and its forecasts."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from billing.reports import forecasts
from billing.reports.cost_totals import Sums
from billing.reports.forecasts import Pace
from tests.billing.reports.conftest import AT

pytestmark = pytest.mark.usefixtures("in_berlin")


def hourly_costs(*costs: int) -> dict[datetime, Sums]:
    """Return costs of this hour and the hours before it."""
    start = AT.replace(minute=0)
    return {start - n * timedelta(hours=1): Sums(estimated=Decimal(cost)) for n, cost in enumerate(costs)}


def test_the_pace_gives_recent_hours_more_weight() -> None:
    steady = forecasts.measure_pace(hourly_costs(180, 360, 360, 360), at=AT)
    assert steady.now * 3600 == pytest.approx(360)
    assert steady.day * 3600 == pytest.approx(360)
    burst = forecasts.measure_pace(hourly_costs(60, 0, 0, 360), at=AT)
    assert burst.now * 3600 == pytest.approx((4 * 60 + 360) / (4 * 0.5 + 3 + 2 + 1))
    assert forecasts.measure_pace({}, at=AT) == Pace(0.0, 0.0)
    # Ten minutes after the very first order, the daily pace is not extrapolated from ten minutes.
    assert forecasts.measure_pace(hourly_costs(60), at=AT.replace(minute=10)).day * 3600 == pytest.approx(60)
    # On the hour, this hour has no costs yet.
    assert (
        forecasts.measure_pace(
            {AT.replace(minute=0) - timedelta(hours=1): Sums(estimated=Decimal(60))}, at=AT.replace(minute=0)
        ).now
        > 0
    )


def test_the_forecast_follows_the_recent_pace_then_the_daily_one() -> None:
    pace = Pace(now=100 / 3600, day=50 / 3600)
    assert forecasts.estimate_end(Decimal(0), pace, at=AT) == AT
    assert forecasts.estimate_end(Decimal(200), pace, at=AT) == AT + timedelta(hours=2)
    assert forecasts.estimate_end(Decimal(350), pace, at=AT) == AT + timedelta(hours=4)
    assert forecasts.estimate_end(Decimal(1_000_000), pace, at=AT) is None
    assert forecasts.estimate_end(Decimal(100), Pace(0.0, 0.0), at=AT) is None
    assert forecasts.forecast_balance(Decimal(1000), pace, after=timedelta(hours=4)) == pytest.approx(Decimal(650))
    assert forecasts.forecast_balance(Decimal(10), pace, after=timedelta(hours=4)) == 0
    points = forecasts.forecast_points(Decimal(1000), pace, at=AT, until=AT + timedelta(hours=5))
    assert [moment - AT for moment, _balance in points] == [timedelta(), timedelta(hours=3), timedelta(hours=5)]
    assert forecasts.forecast_points(Decimal(1000), pace, at=AT, until=AT) == []
    assert forecasts.forecast_points(Decimal(1000), Pace(0.0, 0.0), at=AT, until=AT + timedelta(hours=5)) == []


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (timedelta(hours=2, minutes=13), "16:40"),
        (timedelta(hours=20, minutes=41), "tomorrow 11:00"),
        (timedelta(days=3), "4 Sep"),
        (timedelta(hours=9, minutes=27), "tomorrow 00:00"),
    ],
)
def test_forecast_times_are_rounded(after: timedelta, text: str) -> None:
    assert forecasts.format_forecast(AT + after, at=AT) == text

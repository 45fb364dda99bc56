"""The balance curve, and the geometry of the charts."""

from datetime import timedelta
from decimal import Decimal

import pytest
from pytest_django import DjangoAssertNumQueries

from billing.models import BalanceSnapshot, ProviderAccount, ProviderEntry
from billing.reports import balance_curve, charts, date_ranges
from billing.reports.balance_curve import BalanceCurve, Point
from billing.reports.cost_totals import Sums
from tests.billing.reports.conftest import AT

pytestmark = pytest.mark.usefixtures("in_berlin")


@pytest.mark.django_db
def test_the_curve_has_thinned_readings_and_top_ups(
    account: ProviderAccount, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    BalanceSnapshot.objects.all().delete()
    since, until = AT - timedelta(hours=10), AT
    BalanceSnapshot.objects.bulk_create(
        BalanceSnapshot(
            account=account, balance=5000 - n, promised=n, taken_at=since - timedelta(minutes=30) + timedelta(minutes=n)
        )
        for n in range(631)
    )
    kinds = ProviderEntry.Kind
    for kind, hours_ago, amount in ((kinds.TOP_UP, 2, 1000), (kinds.CORRECTION, 2, -5), (kinds.TOP_UP, 20, 70)):
        ProviderEntry.objects.create(
            account=account,
            kind=kind,
            amount=amount,
            reason="seen",
            idempotency_key=f"{kind}:{hours_ago}",
            happened_at=AT - timedelta(hours=hours_ago),
        )
    with django_assert_num_queries(1):
        curve = balance_curve.read_curve(account, since=since, until=until)
    assert len(curve.points) == balance_curve.MAX_POINTS + 1
    assert (curve.points[0], curve.points[-1].balance) == (Point(since, Decimal(4970)), 4370)
    assert curve.top_ups == [Point(AT - timedelta(hours=2), Decimal(1000))]
    assert (
        balance_curve.read_curve(account, since=since - timedelta(days=9), until=since - timedelta(days=8))
        == BalanceCurve()
    )
    assert balance_curve.curve_end(AT + timedelta(days=1), AT) < AT + timedelta(minutes=1)


@pytest.mark.parametrize("width", [charts.WIDE, charts.NARROW])
@pytest.mark.parametrize("key", date_ranges.RANGE_NAMES)
def test_bars_lie_inside_their_frame(key: str, width: int) -> None:
    date_range = date_ranges.named_range(key, at=AT)
    sums = Sums(estimated=Decimal(120), settled_estimate=Decimal(60), actual=Decimal("52.5"))
    chart = charts.build_bar_chart(date_range.windows, {date_range.windows[3].starts_at: sums}, width=width)
    frame = chart.frame
    assert len(chart.bars) == len(date_range.windows)
    assert len(frame.labels) <= (12 if width == charts.WIDE else 6)
    assert 3 <= len(frame.grid) <= 6
    assert (frame.grid[0].label, frame.grid[0].y) == ("0", frame.bottom)
    for bar in chart.bars:
        assert frame.left <= bar.x < bar.actual_x + bar.width <= frame.right + 0.2
    bar = chart.bars[3]
    assert bar.estimate_height == pytest.approx(bar.actual_height + bar.open_height, rel=0.1)
    assert bar.open_y < bar.actual_y < frame.bottom
    assert chart.bars[0].estimate_height == 0


@pytest.mark.parametrize(
    ("amount", "top_label"),
    [("0", "10"), ("9", "10"), ("900", "1,000"), ("1350", "1,500"), ("12001", "12,500"), ("210000", "300,000")],
)
def test_axes_end_at_round_numbers(amount: str, top_label: str) -> None:
    date_range = date_ranges.named_range("7d", at=AT)
    chart = charts.build_bar_chart(
        date_range.windows, {date_range.windows[0].starts_at: Sums(estimated=Decimal(amount))}
    )
    assert chart.frame.grid[-1].label == top_label


def test_the_balance_is_drawn_in_steps_and_top_ups_are_labelled_where_there_is_room() -> None:
    date_range = date_ranges.named_range("today", at=AT)
    minutes = [0, 200, 201, 1200]
    curve = BalanceCurve(
        points=[Point(date_range.since + timedelta(minutes=n), Decimal(5000 + n)) for n in minutes],
        top_ups=[Point(date_range.since + timedelta(minutes=n), Decimal(100)) for n in (200, 202, 1439)],
    )
    chart = charts.build_balance_chart(
        curve,
        since=date_range.since,
        until=date_range.until,
        low=Decimal(1000),
        critical=Decimal(500),
        forecast=[Point(AT, Decimal(4000)), Point(date_range.until, Decimal(3000))],
    )
    assert chart.path.startswith(f"M{chart.frame.left}")
    assert chart.path.count("V") == 3
    assert chart.area.endswith("Z")
    assert chart.forecast.startswith("M")
    assert [(kind, line.label) for kind, line in chart.thresholds] == [("low", "1,000"), ("critical", "500")]
    assert chart.thresholds[0][1].y < chart.thresholds[1][1].y
    assert [(mark.is_labelled, mark.anchor) for mark in chart.marks] == [
        (True, "middle"),
        (False, "middle"),
        (True, "end"),
    ]
    assert chart.end is not None
    assert [label.text for label in chart.frame.labels] == ["00:00", "04:00", "08:00", "12:00", "16:00", "20:00"]
    assert chart.span > 600


def test_with_many_top_ups_none_is_labelled() -> None:
    date_range = date_ranges.named_range("year", at=AT)
    curve = BalanceCurve(top_ups=[Point(date_range.since + n * timedelta(days=40), Decimal(100)) for n in range(9)])
    chart = charts.build_balance_chart(
        curve, since=date_range.since, until=date_range.until, low=Decimal(1), critical=Decimal(0)
    )
    assert [mark.is_labelled for mark in chart.marks] == [False] * 9
    assert chart.marks[0].anchor == "start"


@pytest.mark.parametrize(("key", "label"), [("7d", "26 Aug"), ("year", "Oct")])
def test_an_empty_curve_draws_only_its_frame(key: str, label: str) -> None:
    date_range = date_ranges.named_range(key, at=AT)
    top_ups = BalanceCurve(top_ups=[Point(AT, Decimal(5))])
    chart = charts.build_balance_chart(
        top_ups, since=date_range.since, until=date_range.until, low=Decimal(0), critical=Decimal(0)
    )
    assert (chart.path, chart.area, chart.end, chart.forecast) == ("", "", None, "")
    assert chart.frame.labels[0].text == label


def test_windows_are_formatted_for_sentences_and_for_axes() -> None:
    names = [
        (charts.format_window(window), charts.format_window_short(window))
        for window in (date_ranges.named_range(key, at=AT).windows[0] for key in ("today", "7d", "year"))
    ]
    assert names == [("00:00", "00"), ("26 Aug 2026", "26 Aug"), ("October 2025", "Oct")]

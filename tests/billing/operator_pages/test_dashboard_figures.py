"""The figures of the operators' first page: ranges, sums, forecasts, charts, tables as files."""

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.common.formatting import format_plain
from billing.costs import rollups
from billing.models import Alert, BalanceSnapshot, Measure, Period, ProviderAccount, ProviderEntry
from billing.pricing.margins import Margin
from billing.reports import (
    balance_curve,
    breakdowns,
    charts,
    cost_totals,
    date_ranges,
    export,
    forecasts,
    tables,
)
from billing.reports.balance_curve import BalanceCurve, Point
from billing.reports.cost_totals import Sums
from billing.reports.forecasts import Pace
from billing.reports.tables import Table
from billing.templatetags import cost
from tests.billing.conftest import SetClock

# A Tuesday, half past two in the afternoon of Berlin.
AT = datetime(2026, 9, 1, 12, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(autouse=True)
def _in_berlin(settings: Settings) -> None:
    settings.TIME_ZONE = "Europe/Berlin"


def count(at: datetime = AT, *, model: str = "veo3_fast", user_id: int = 1, settled: str | None = "60") -> None:
    counts: list[tuple[Measure, Decimal | int]] = [(Measure.ORDERED, 1), (Measure.ESTIMATED, 60), (Measure.CHARGED, 72)]
    if settled is not None:
        counts += [(Measure.SETTLED, 1), (Measure.SETTLED_ESTIMATE, 60), (Measure.ACTUAL, Decimal(settled))]
        counts += [(Measure.READY, 1)]
    labelled: list[tuple[Measure, str, Decimal | int]] = [
        (Measure.VERDICT, "callback", 1),
        (Measure.GENERATION, "84", 1),
    ]
    rollups.record_counts(ordered_at=at, model=model, user_id=user_id, counts=counts, labelled=labelled)


# --- Ranges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "first", "last", "bars", "windows"),
    [
        ("today", "2026-09-01", "2026-09-01", Period.HOUR, 24),
        ("7d", "2026-08-26", "2026-09-01", Period.DAY, 7),
        ("30d", "2026-08-03", "2026-09-01", Period.DAY, 30),
        ("year", "2025-10-01", "2026-09-30", Period.MONTH, 12),
    ],
)
def test_a_named_range_is_whole_days_of_the_site(key: str, first: str, last: str, bars: Period, windows: int) -> None:
    made = date_ranges.named_range(key, at=AT)
    assert made.days == (date.fromisoformat(first), date.fromisoformat(last))
    assert (made.bar_period, len(made.windows)) == (bars, windows)
    assert made.since.astimezone(BERLIN).hour == 0
    assert made.query == f"range={key}"
    assert made.title == str(date_ranges.RANGE_NAMES[key])


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-03-30", 24)], ids=["spring", "autumn", "usual"]
)
def test_a_day_has_as_many_bars_as_hours(day: str, hours: int) -> None:
    one = date.fromisoformat(day)
    assert len(date_ranges.range_of_days(one, one).windows) == hours


@pytest.mark.parametrize(
    ("first", "last", "bars", "days"),
    [
        ("2026-08-31", "2026-08-31", Period.HOUR, ("2026-08-31", "2026-08-31")),
        ("2026-06-01", "2026-08-31", Period.DAY, ("2026-06-01", "2026-08-31")),
        ("2026-05-10", "2026-08-20", Period.MONTH, ("2026-05-01", "2026-08-31")),
    ],
)
def test_long_ranges_are_whole_months(first: str, last: str, bars: Period, days: tuple[str, str]) -> None:
    asked = date_ranges.parse_range({"from": first, "to": f" {last} "}, at=AT)
    assert not asked.errors
    assert asked.range.bar_period == bars
    assert tuple(day.isoformat() for day in asked.range.days) == days
    assert asked.range.query == f"from={days[0]}&to={days[1]}"
    assert asked.typed == {"from": first, "to": last}


def test_an_open_end_reaches_until_today_and_an_open_begin_is_that_day() -> None:
    assert date_ranges.parse_range({"from": "2026-08-30"}, at=AT).range.title == "30 Aug 2026 – 1 Sep 2026"
    assert date_ranges.parse_range({"to": "2026-08-30"}, at=AT).range.title == "30 Aug 2026"
    assert date_ranges.parse_range({"range": "nonsense"}, at=AT).range.key == date_ranges.TODAY


@pytest.mark.parametrize(
    ("typed", "field", "words"),
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
def test_what_cannot_be_shown_is_said_at_its_field_and_kept(typed: dict[str, str], field: str, words: str) -> None:
    asked = date_ranges.parse_range(typed, at=AT)
    assert asked.errors == {field: words}
    assert asked.typed[field] == typed[field]
    assert asked.range.key == date_ranges.TODAY


# --- Sums -------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("key", date_ranges.RANGE_NAMES)
def test_one_query_reads_everything_folded_or_not(key: str, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    count()
    rollups.fold_marks()
    count(settled="52.5")
    count(model="veo3", settled=None)
    count(AT - timedelta(days=800))
    wanted = date_ranges.named_range(key, at=AT)
    with django_assert_num_queries(1):
        reading = cost_totals.read_totals(wanted, at=AT)
    everything = reading.all
    assert everything[Measure.ORDERED] == 3
    assert (everything.open, everything.cost, everything.variance) == (60, Decimal("172.5"), Decimal("-7.5"))
    assert everything.absolute_variance_share == pytest.approx(0.0625)
    assert (everything.ended, everything.success_share) == (2, 1.0)
    assert reading.count_labels(Measure.VERDICT) == {"callback": 3}
    assert reading.count_labels(Measure.VERDICT, "veo3") == {"callback": 1}
    assert sum(sums[Measure.ORDERED] for sums in reading.by_window.values()) == 3
    assert set(reading.by_window) <= {one.starts_at for one in wanted.windows}
    assert {start.hour: sums.cost for start, sums in reading.recent_hours.items()} == {12: Decimal("172.5")}


def test_sums_of_nothing_are_zero_or_unknown() -> None:
    sums = Sums()
    assert (sums[Measure.ACTUAL], sums.cost) == (0, 0)
    assert (sums.variance_share, sums.absolute_variance_share, sums.success_share) == (None, None, None)
    assert breakdowns.compute_margin_share(sums) is None
    with pytest.raises(KeyError):
        sums["no_measure"]


@pytest.mark.parametrize(("usd", "share"), [("0.01", 0.5), ("0.005", 0.0), ("0.004", -0.25), ("0", None)])
def test_the_margin_is_that_of_the_price_list(settings: Settings, usd: str, share: float | None) -> None:
    settings.USD_PER_USER_CREDIT = Decimal(usd)
    sums = Sums(charged=Decimal(120), refunded=Decimal(60), estimated=Decimal(60), settled_estimate=Decimal(60))
    sums[Measure.ACTUAL] = Decimal(60)
    assert breakdowns.compute_margin_share(sums) == share
    listed = Margin(60, Decimal(60)).percent
    assert share == (None if listed is None else float(listed) / 100)
    # Who paid nothing in the end left no share of anything.
    assert breakdowns.compute_margin_share(Sums(charged=Decimal(60), refunded=Decimal(60), actual=Decimal(60))) is None


@pytest.mark.django_db
def test_rows_by_model_and_user_have_the_dearest_first(alice: User) -> None:
    count(user_id=alice.pk)
    count(user_id=alice.pk, model="veo3")
    count(user_id=alice.pk, model="veo3")
    count(user_id=999, settled=None)
    wanted = date_ranges.named_range("today", at=AT)
    rows = breakdowns.build_model_rows(cost_totals.read_totals(wanted, at=AT))
    assert [(row.model, row.sums.cost) for row in rows] == [("veo3", 120), ("veo3_fast", 120)]
    assert rows[0].margin == pytest.approx(1 / 6)
    assert rows[0].times.p50_s == pytest.approx(61.7, rel=0.05)
    people = breakdowns.read_user_rows(wanted)
    assert [(row.user_id, row.email, row.sums[Measure.ESTIMATED]) for row in people] == [
        (alice.pk, "alice@example.com", 180),
        (999, "", 60),
    ]


def test_counts_keep_the_order_that_is_asked_for() -> None:
    found = breakdowns.build_label_rows({"poll": 1, "odd": 3}, order=breakdowns.RESULT_SOURCES)
    assert [(one.label, one.count, one.share) for one in found] == [
        ("callback", 0, 0.0),
        ("poll", 1, 0.25),
        ("repair", 0, 0.0),
        ("odd", 3, 0.75),
    ]
    assert breakdowns.build_label_rows({}, order=("callback",))[0].share == 0.0


# --- Forecasts --------------------------------------------------------------------------------------------------------


def hours(*costs: int) -> dict[datetime, Sums]:
    """Costs of this hour and those before it."""
    start = AT.replace(minute=0)
    return {start - n * timedelta(hours=1): Sums(estimated=Decimal(cost)) for n, cost in enumerate(costs)}


def test_the_pace_weighs_the_newest_hours_most_and_one_burst_little() -> None:
    steady = forecasts.measure_pace(hours(180, 360, 360, 360), at=AT)
    assert steady.now * 3600 == pytest.approx(360)
    assert steady.day * 3600 == pytest.approx(360)
    burst = forecasts.measure_pace(hours(60, 0, 0, 360), at=AT)
    assert burst.now * 3600 == pytest.approx((4 * 60 + 360) / (4 * 0.5 + 3 + 2 + 1))
    assert forecasts.measure_pace({}, at=AT) == Pace(0.0, 0.0)
    # Ten minutes after the very first order, a whole day's pace is not guessed from ten minutes.
    assert forecasts.measure_pace(hours(60), at=AT.replace(minute=10)).day * 3600 == pytest.approx(60)
    # On the hour there is nothing of this hour yet.
    assert (
        forecasts.measure_pace(
            {AT.replace(minute=0) - timedelta(hours=1): Sums(estimated=Decimal(60))}, at=AT.replace(minute=0)
        ).now
        > 0
    )


def test_money_ends_at_the_pace_of_now_then_at_the_days() -> None:
    pace = Pace(now=100 / 3600, day=50 / 3600)
    assert forecasts.estimate_end(Decimal(0), pace, at=AT) == AT
    assert forecasts.estimate_end(Decimal(200), pace, at=AT) == AT + timedelta(hours=2)
    assert forecasts.estimate_end(Decimal(350), pace, at=AT) == AT + timedelta(hours=4)
    assert forecasts.estimate_end(Decimal(1_000_000), pace, at=AT) is None
    assert forecasts.estimate_end(Decimal(100), Pace(0.0, 0.0), at=AT) is None
    assert forecasts.forecast_balance(Decimal(1000), pace, after=timedelta(hours=4)) == pytest.approx(Decimal(650))
    assert forecasts.forecast_balance(Decimal(10), pace, after=timedelta(hours=4)) == 0
    line = forecasts.forecast_points(Decimal(1000), pace, at=AT, until=AT + timedelta(hours=5))
    assert [then - AT for then, _amount in line] == [timedelta(), timedelta(hours=3), timedelta(hours=5)]
    assert forecasts.forecast_points(Decimal(1000), pace, at=AT, until=AT) == []
    assert forecasts.forecast_points(Decimal(1000), Pace(0.0, 0.0), at=AT, until=AT + timedelta(hours=5)) == []


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (timedelta(hours=2, minutes=13), "16:40"),
        (timedelta(hours=20, minutes=41), "tomorrow 11:00"),
        (timedelta(days=3), "4 Sep"),
        (timedelta(hours=9, minutes=27), "tomorrow 00:00"),
    ],
)
def test_a_time_to_come_is_said_no_finer_than_a_guess_deserves(after: timedelta, words: str) -> None:
    assert forecasts.format_forecast(AT + after, at=AT) == words


# --- The balance's curve ----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_curve_is_thinned_readings_with_the_top_ups(
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


# --- Charts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [charts.WIDE, charts.NARROW])
@pytest.mark.parametrize("key", date_ranges.RANGE_NAMES)
def test_bars_stand_inside_their_frame(key: str, width: int) -> None:
    wanted = date_ranges.named_range(key, at=AT)
    sums = Sums(estimated=Decimal(120), settled_estimate=Decimal(60), actual=Decimal("52.5"))
    drawn = charts.build_bar_chart(wanted.windows, {wanted.windows[3].starts_at: sums}, width=width)
    frame = drawn.frame
    assert len(drawn.bars) == len(wanted.windows)
    assert len(frame.labels) <= (12 if width == charts.WIDE else 6)
    assert 3 <= len(frame.grid) <= 6
    assert (frame.grid[0].label, frame.grid[0].y) == ("0", frame.bottom)
    for bar in drawn.bars:
        assert frame.left <= bar.x < bar.actual_x + bar.width <= frame.right + 0.2
    bar = drawn.bars[3]
    assert bar.estimate_height == pytest.approx(bar.actual_height + bar.open_height, rel=0.1)
    assert bar.open_y < bar.actual_y < frame.bottom
    assert drawn.bars[0].estimate_height == 0


@pytest.mark.parametrize(
    ("most", "top"),
    [("0", "10"), ("9", "10"), ("900", "1,000"), ("1350", "1,500"), ("12001", "12,500"), ("210000", "300,000")],
)
def test_axes_end_at_round_numbers(most: str, top: str) -> None:
    wanted = date_ranges.named_range("7d", at=AT)
    drawn = charts.build_bar_chart(wanted.windows, {wanted.windows[0].starts_at: Sums(estimated=Decimal(most))})
    assert drawn.frame.grid[-1].label == top


def test_the_curve_goes_in_steps_and_its_top_ups_find_room_for_words() -> None:
    wanted = date_ranges.named_range("today", at=AT)
    minutes = [0, 200, 201, 1200]
    curve = BalanceCurve(
        points=[Point(wanted.since + timedelta(minutes=n), Decimal(5000 + n)) for n in minutes],
        top_ups=[Point(wanted.since + timedelta(minutes=n), Decimal(100)) for n in (200, 202, 1439)],
    )
    drawn = charts.build_balance_chart(
        curve,
        since=wanted.since,
        until=wanted.until,
        low=Decimal(1000),
        critical=Decimal(500),
        forecast=[Point(AT, Decimal(4000)), Point(wanted.until, Decimal(3000))],
    )
    assert drawn.path.startswith(f"M{drawn.frame.left}")
    assert drawn.path.count("V") == 3
    assert drawn.area.endswith("Z")
    assert drawn.forecast.startswith("M")
    assert [(kind, line.label) for kind, line in drawn.thresholds] == [("low", "1,000"), ("critical", "500")]
    assert drawn.thresholds[0][1].y < drawn.thresholds[1][1].y
    assert [(mark.is_labelled, mark.anchor) for mark in drawn.marks] == [
        (True, "middle"),
        (False, "middle"),
        (True, "end"),
    ]
    assert drawn.end is not None
    assert [label.text for label in drawn.frame.labels] == ["00:00", "04:00", "08:00", "12:00", "16:00", "20:00"]
    assert drawn.span > 600


def test_of_many_top_ups_none_is_labelled() -> None:
    wanted = date_ranges.named_range("year", at=AT)
    curve = BalanceCurve(top_ups=[Point(wanted.since + n * timedelta(days=40), Decimal(100)) for n in range(9)])
    drawn = charts.build_balance_chart(
        curve, since=wanted.since, until=wanted.until, low=Decimal(1), critical=Decimal(0)
    )
    assert [mark.is_labelled for mark in drawn.marks] == [False] * 9
    assert drawn.marks[0].anchor == "start"


@pytest.mark.parametrize(("key", "label"), [("7d", "26 Aug"), ("year", "Oct")])
def test_an_empty_curve_is_a_frame(key: str, label: str) -> None:
    wanted = date_ranges.named_range(key, at=AT)
    top_ups = BalanceCurve(top_ups=[Point(AT, Decimal(5))])
    drawn = charts.build_balance_chart(
        top_ups, since=wanted.since, until=wanted.until, low=Decimal(0), critical=Decimal(0)
    )
    assert (drawn.path, drawn.area, drawn.end, drawn.forecast) == ("", "", None, "")
    assert drawn.frame.labels[0].text == label


def test_windows_are_named_for_sentences_and_for_axes() -> None:
    names = [
        (charts.format_window(one), charts.format_window_short(one))
        for one in (date_ranges.named_range(key, at=AT).windows[0] for key in ("today", "7d", "year"))
    ]
    assert names == [("00:00", "00"), ("26 Aug 2026", "26 Aug"), ("October 2025", "Oct")]


# --- Files ------------------------------------------------------------------------------------------------------------

DAYS = (date(2026, 8, 1), date(2026, 8, 31))


def test_no_cell_of_a_sheet_is_a_formula_and_numbers_stay_numbers() -> None:
    dangerous = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"]
    table = Table("users", ("name", "amount", "more", "at"), [(name, Decimal("-2.5000"), 3, AT) for name in dangerous])
    text = "".join(export.as_csv(table, DAYS))
    assert text.startswith("\ufeffname,")
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert [row[0] for row in rows[1:]] == [f"'{name}" for name in dangerous]
    assert rows[1][1:] == ["-2.5", "3", "2026-09-01 12:30:00+00:00"]
    assert "".join(export.as_csv(Table("x", ("a", "b"), [("fine", None)]), DAYS)).endswith("fine,\r\n")


def test_json_is_valid_with_numbers_as_numbers_however_many_rows() -> None:
    table = Table(
        "models",
        ("model", "actual", "whole", "share", "at"),
        [("=a", Decimal("52.5"), Decimal("60.0000"), None, AT)] * 2,
    )
    found = json.loads("".join(export.as_json(table, DAYS)))
    row = {"model": "=a", "actual": 52.5, "whole": 60, "share": None, "at": "2026-09-01T12:30:00+00:00"}
    assert found == {"table": "models", "from": "2026-08-01", "to": "2026-08-31", "rows": [row, row]}
    assert json.loads("".join(export.as_json(Table("models", (), []), DAYS)))["rows"] == []


def test_files_are_named_after_table_and_dates() -> None:
    table = Table("models", (), [])
    assert export.file_name(table, DAYS, "csv") == "veoapp-models-2026-08-01-2026-08-31.csv"
    assert export.file_name(table, (DAYS[0], DAYS[0]), "json") == "veoapp-models-2026-08-01.json"


@pytest.mark.django_db
def test_tables_say_what_the_page_says(alice: User, account: ProviderAccount, still: SetClock) -> None:
    count(user_id=alice.pk)
    count(user_id=alice.pk, settled=None)
    rollups.record_counts(
        ordered_at=AT,
        model="veo3_fast",
        user_id=1,
        counts=[(Measure.FAILED, 1)],
        labelled=[(Measure.FAILURE, "audio", 1)],
    )
    wanted = date_ranges.named_range("7d", at=AT)
    reading = cost_totals.read_totals(wanted, at=AT)

    def only(table: Table, number: int = 0) -> dict[str, object]:
        return dict(zip(table.columns, list(table.rows)[number], strict=True))

    day = only(tables.build_timeline(wanted, reading), 6)
    assert (day["from"], day["videos"], day["open"]) == (datetime(2026, 9, 1, tzinfo=BERLIN), 2, 60)
    model = only(tables.build_models(reading))
    assert (model["model"], model["success_share"], model["margin_share"]) == ("veo3_fast", 0.5, 0.1667)
    assert isinstance(model["p50_s"], float)
    user = only(tables.build_users(wanted))
    assert (user["email"], user["charged_user_credits"]) == ("alice@example.com", 144)
    assert only(tables.build_failures(reading)) == {"failure_code": "audio", "videos": 1, "share": 1.0}
    assert only(tables.build_callbacks(reading)) == {"came_by": "callback", "videos": 2, "share": 1.0}
    curve = BalanceCurve(points=[Point(AT, Decimal(9))], top_ups=[Point(AT - timedelta(hours=1), Decimal(7))])
    assert [row[1:] for row in tables.build_balance(curve).rows] == [("top_up", 7), ("reading", 9)]
    alert = Alert(kind="test", severity="info", cause="=x", last_at=AT)
    assert only(tables.build_alerts([alert]))["cause"] == "=x"


@pytest.mark.django_db
def test_times_that_nobody_measured_are_empty_cells() -> None:
    rollups.record_counts(ordered_at=AT, model="veo3", user_id=1, counts=[(Measure.ORDERED, 1)])
    reading = cost_totals.read_totals(date_ranges.named_range("today", at=AT), at=AT)
    assert next(iter(tables.build_models(reading).rows))[-4:] == (None, None, None, None)


# --- Words ------------------------------------------------------------------------------------------------------------


def test_amounts_and_shares_are_read_easily() -> None:
    assert [cost.credits(one) for one in (Decimal("6187.5000"), 1200, None)] == ["6,187.5", "1,200", "–"]
    assert [cost.signed_credits(Decimal(one)) for one in ("2.5", "-52.5000", "0")] == ["+2.5", "−52.5", "0"]
    assert [cost.percent(one) for one in (0.933, 1.0, None)] == ["93.3 %", "100 %", "–"]
    assert [cost.signed_percent(one) for one in (0.18, -0.008, 0.0, None)] == ["+18 %", "−0.8 %", "0 %", "–"]
    assert format_plain(Decimal("60.0000")) == "60"

"""Tables and their exports as CSV and JSON."""

import csv
import io
import json
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.models import User
from billing.costs import rollups
from billing.models import Alert, Measure, ProviderAccount
from billing.reports import cost_totals, date_ranges, table_files, tables
from billing.reports.balance_curve import BalanceCurve, Point
from billing.reports.tables import Table
from tests.billing.reports.conftest import AT, BERLIN, count_job
from tests.clocks import ManualClock

pytestmark = pytest.mark.usefixtures("in_berlin")

DAYS = (date(2026, 8, 1), date(2026, 8, 31))


def test_csv_cells_are_never_formulas_and_numbers_stay_numbers() -> None:
    formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"]
    table = Table("users", ("name", "amount", "count", "at"), [(name, Decimal("-2.5000"), 3, AT) for name in formulas])
    text = "".join(table_files.as_csv(table, DAYS))
    assert text.startswith("\ufeffname,")
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert [row[0] for row in rows[1:]] == [f"'{name}" for name in formulas]
    assert rows[1][1:] == ["-2.5", "3", "2026-09-01 12:30:00+00:00"]
    assert "".join(table_files.as_csv(Table("x", ("a", "b"), [("fine", None)]), DAYS)).endswith("fine,\r\n")


def test_json_exports_are_valid_with_numbers_as_numbers() -> None:
    table = Table(
        "models",
        ("model", "actual", "whole", "share", "at"),
        [("=a", Decimal("52.5"), Decimal("60.0000"), None, AT)] * 2,
    )
    exported = json.loads("".join(table_files.as_json(table, DAYS)))
    row = {"model": "=a", "actual": 52.5, "whole": 60, "share": None, "at": "2026-09-01T12:30:00+00:00"}
    assert exported == {"table": "models", "from": "2026-08-01", "to": "2026-08-31", "rows": [row, row]}
    assert json.loads("".join(table_files.as_json(Table("models", (), []), DAYS)))["rows"] == []


def test_export_files_are_named_after_table_and_dates() -> None:
    table = Table("models", (), [])
    assert table_files.file_name(table, DAYS, "csv") == "veoapp-models-2026-08-01-2026-08-31.csv"
    assert table_files.file_name(table, (DAYS[0], DAYS[0]), "json") == "veoapp-models-2026-08-01.json"


@pytest.mark.django_db
def test_tables_have_the_figures_of_the_page(alice: User, account: ProviderAccount, manual_clock: ManualClock) -> None:
    count_job(user_id=alice.pk)
    count_job(user_id=alice.pk, settled=None)
    rollups.record_counts(
        ordered_at=AT,
        model="veo3_fast",
        user_id=1,
        counts=[(Measure.FAILED, 1)],
        labelled=[(Measure.FAILURE, "audio", 1)],
    )
    date_range = date_ranges.named_range("7d", at=AT)
    totals = cost_totals.read_totals(date_range, at=AT)

    def read_row(table: Table, number: int = 0) -> dict[str, object]:
        return dict(zip(table.columns, list(table.rows)[number], strict=True))

    day = read_row(tables.build_timeline(date_range, totals), 6)
    assert (day["from"], day["videos"], day["open"]) == (datetime(2026, 9, 1, tzinfo=BERLIN), 2, 60)
    model = read_row(tables.build_models(totals))
    assert (model["model"], model["success_share"], model["margin_share"]) == ("veo3_fast", 0.5, 0.1667)
    assert isinstance(model["p50_s"], float)
    user = read_row(tables.build_users(date_range))
    assert (user["email"], user["charged_user_credits"]) == ("alice@example.com", 144)
    assert read_row(tables.build_failures(totals)) == {"failure_code": "audio", "videos": 1, "share": 1.0}
    assert read_row(tables.build_callbacks(totals)) == {"came_by": "callback", "videos": 2, "share": 1.0}
    curve = BalanceCurve(points=[Point(AT, Decimal(9))], top_ups=[Point(AT - timedelta(hours=1), Decimal(7))])
    assert [row[1:] for row in tables.build_balance(curve).rows] == [("top_up", 7), ("reading", 9)]
    alert = Alert(kind="test", severity="info", cause="=x", last_at=AT)
    assert read_row(tables.build_alerts([alert]))["cause"] == "=x"


@pytest.mark.django_db
def test_missing_durations_are_empty_cells() -> None:
    rollups.record_counts(ordered_at=AT, model="veo3", user_id=1, counts=[(Measure.ORDERED, 1)])
    totals = cost_totals.read_totals(date_ranges.named_range("today", at=AT), at=AT)
    assert next(iter(tables.build_models(totals).rows))[-4:] == (None, None, None, None)

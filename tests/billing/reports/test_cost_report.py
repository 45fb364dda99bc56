"""`cost_report`: consistent sums, safe files, and messages for invalid arguments."""

import csv
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.costs import rollups
from billing.models import Measure
from billing.reports import cost_report
from tests.clocks import ManualClock
from tests.people import make_person

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _utc(settings: Settings, manual_clock: ManualClock) -> None:
    settings.TIME_ZONE = "UTC"


def count_job(
    user: User,
    *,
    days_ago: float = 0,
    model: str = "veo3_fast",
    estimated: str = "60",
    actual: str | None = "60",
    failed: bool = False,
) -> None:
    """Count a job of that day; it is open without an actual cost."""
    counts: list[rollups.Count] = [(Measure.ORDERED, 1), (Measure.ESTIMATED, Decimal(estimated)), (Measure.CHARGED, 60)]
    if actual is not None:
        counts += [(Measure.SETTLED_ESTIMATE, Decimal(estimated)), (Measure.ACTUAL, Decimal(actual))]
        counts += [(Measure.FAILED, 1), (Measure.REFUNDED, 60)] if failed else [(Measure.READY, 1)]
    rollups.record_counts(ordered_at=NOON - timedelta(days=days_ago), model=model, user_id=user.pk, counts=counts)


@pytest.fixture
def _jobs(alice: User, bob: User) -> None:
    count_job(alice, actual="50.5")
    count_job(alice, days_ago=1, model="veo3", estimated="250", actual=None)
    count_job(bob, days_ago=1, actual="0", failed=True)
    count_job(bob, days_ago=40, actual="66")


def run_command(*arguments: str) -> str:
    out = StringIO()
    call_command("cost_report", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def read_rows(*arguments: str) -> dict[str, dict[str, str]]:
    """Return the rows of the CSV by their names."""
    rows = list(csv.reader(StringIO(run_command(*arguments, "--format", "csv").removeprefix("\ufeff"))))
    return {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[1:]}


@pytest.mark.usefixtures("_jobs")
def test_the_default_report_has_thirty_days_with_variance_and_a_total() -> None:
    assert run_command().splitlines() == [
        "day         jobs  ready  failed  estimated  of settled  actual  variance       %  charged  refunded",
        "----------  ----  -----  ------  ---------  ----------  ------  --------  ------  -------  --------",
        "2026-08-31     2      0       1        310          60       0       -60    -100      120        60",
        "2026-09-01     1      1       0         60          60    50.5      -9.5  -15.83       60         0",
        "----------  ----  -----  ------  ---------  ----------  ------  --------  ------  -------  --------",
        "total          3      1       1        370         120    50.5     -69.5  -57.92      180        60",
    ]
    assert "veo3          1      0       0        250           0       0         0       -" in run_command(
        "--by", "model"
    )


@pytest.mark.usefixtures("_jobs")
@pytest.mark.parametrize("by", cost_report.GROUPINGS)
def test_every_grouping_has_the_same_total_before_and_after_folding(by: str) -> None:
    arguments = ("--from", "2026-07-01", "--to", "2026-09-01", "--by", by)
    before = read_rows(*arguments)
    rollups.fold_marks()
    assert read_rows(*arguments) == before
    total = before["total"]
    assert (total["jobs"], total["estimated"], total["actual"], total["variance"]) == ("4", "430", "116.5", "-63.5")
    rows_without_total = [row for name, row in before.items() if name != "total"]
    for column in ("jobs", "estimated", "settled_estimate", "actual", "variance", "user_credits_charged"):
        assert sum(Decimal(row[column]) for row in rows_without_total) == Decimal(total[column])


@pytest.mark.usefixtures("_jobs")
def test_rows_are_named_and_sorted() -> None:
    since = ("--from", "2026-07-01")
    assert list(read_rows(*since)) == ["2026-07-23", "2026-08-31", "2026-09-01", "total"]
    assert list(read_rows(*since, "--by", "month")) == ["2026-07", "2026-08", "2026-09", "total"]
    assert list(read_rows(*since, "--by", "model")) == ["veo3", "veo3_fast", "total"]
    assert list(read_rows(*since, "--by", "user")) == ["alice@example.com", "bob@example.com", "total"]
    assert list(read_rows("--from", "2026-09-01", "--by", "hour")) == ["2026-09-01 12:00+00:00", "total"]
    assert read_rows(*since, "--by", "model")["veo3"]["variance_percent"] == ""


def test_days_are_those_of_the_site_and_a_repeated_hour_has_two_rows(
    alice: User, settings: Settings, manual_clock: ManualClock
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    manual_clock.at = datetime(2026, 10, 25, 12, tzinfo=UTC)
    for hour in (0, 1):  # 2:00 summer time, 2:00 winter time
        counts = [(Measure.ORDERED, 1)]
        at = datetime(2026, 10, 25, hour, 30, tzinfo=UTC)
        rollups.record_counts(ordered_at=at, model="m", user_id=alice.pk, counts=counts)
    rollups.record_counts(
        ordered_at=datetime(2026, 10, 24, 22, 30, tzinfo=UTC),
        model="m",
        user_id=alice.pk,
        counts=[(Measure.ORDERED, 1)],
    )
    day = ("--from", "2026-10-25", "--to", "2026-10-25")
    assert read_rows(*day)["2026-10-25"]["jobs"] == "3"
    assert list(read_rows(*day, "--by", "hour")) == [
        "2026-10-25 00:00+02:00",
        "2026-10-25 02:00+02:00",
        "2026-10-25 02:00+01:00",
        "total",
    ]


@pytest.mark.usefixtures("_jobs")
def test_json_has_numbers_and_dates() -> None:
    report = json.loads(run_command("--by", "model", "--format", "json"))
    assert (report["table"], report["from"], report["to"]) == ("costs-by-model", "2026-08-03", "2026-09-01")
    assert report["rows"][-1]["actual"] == 50.5
    assert report["rows"][0]["variance_percent"] is None


def test_an_email_address_that_looks_like_a_formula_is_escaped() -> None:
    count_job(make_person("=cmd|calc@example.com"))
    assert "'=cmd|calc@example.com" in read_rows("--by", "user")


def test_a_deleted_user_still_counts(alice: User) -> None:
    rollups.record_counts(ordered_at=NOON, model="m", user_id=999_999, counts=[(Measure.ESTIMATED, Decimal(1))])
    assert list(read_rows("--by", "user")) == ["user 999999", "total"]


@pytest.mark.parametrize("format", ["table", "csv", "json"])
def test_an_empty_range_prints_a_message(format: str) -> None:
    out, err = StringIO(), StringIO()
    call_command("cost_report", "--format", format, "--from", "2026-08-01", stdout=out, stderr=err)
    assert err.getvalue() == "Nothing was ordered from 2026-08-01 to 2026-09-01 (UTC).\n"
    if format == "json":
        assert json.loads(out.getvalue())["rows"] == []
    else:
        assert "total" not in out.getvalue()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "yesterday"], "“yesterday” is not a date: write it like 2026-11-21"),
        (["--to", "2026-02-30"], "“2026-02-30” is not a date"),
        (["--from", "2026-09-02"], r"The last day \(2026-09-01\) is before the first \(2026-09-02\)"),
        (["--by", "weather"], "invalid choice"),
        (["--format", "xml"], "invalid choice"),
    ],
)
def test_invalid_arguments_get_a_message(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run_command(*arguments)


@pytest.mark.usefixtures("_jobs")
def test_a_file_is_written_completely_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "costs.csv"
    assert run_command("--format", "csv", "--output", str(target)) == ""
    assert target.read_bytes().decode() == run_command("--format", "csv")
    with pytest.raises(CommandError, match="cannot be written: No such file or directory"):
        run_command("--output", str(tmp_path / "no" / "costs.txt"))
    with pytest.raises(CommandError, match="cannot be written"):
        run_command("--output", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["costs.csv"]


def test_a_report_has_rows_and_their_total(alice: User) -> None:
    count_job(alice, actual="75")
    report = cost_report.build_report(first=date(2026, 9, 1), last=date(2026, 9, 1), by="day")
    assert [(name, sums.variance) for name, sums in report.rows] == [("2026-09-01", 15)]
    assert report.total.variance == 15

"""Builds the dashboard's tables as plain rows, for CSV and JSON files.

Column names are stable and never translated. The derived figures are explained in `billing.reports.cost_totals.Sums`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from billing.common.csv_export import Cell
from billing.common.periods import site_zone
from billing.models import Alert, Measure
from billing.reports import breakdowns
from billing.reports.balance_curve import BalanceCurve
from billing.reports.cost_totals import CostTotals, Sums
from billing.reports.date_ranges import DateRange

# The dashboard itself shows only `breakdowns.USERS_SHOWN` users.
USERS_EXPORTED = 100_000


@dataclass(frozen=True)
class Table:
    """A table with named columns. Amounts are provider credits unless a column says user credits; shares are fractions."""

    name: str
    columns: Sequence[str]
    rows: Iterable[Sequence[Cell]]


Column = tuple[str, Callable[[Sums], Cell]]

_COUNT_COLUMNS: tuple[Column, ...] = (
    ("videos", lambda sums: int(sums[Measure.ORDERED])),
    ("ready", lambda sums: int(sums[Measure.READY])),
    ("failed", lambda sums: int(sums[Measure.FAILED])),
    ("cancelled", lambda sums: int(sums[Measure.CANCELLED])),
    ("success_share", lambda sums: _round_share(sums.success_share)),
)
_AMOUNT_COLUMNS: tuple[Column, ...] = (
    ("estimated", lambda sums: sums[Measure.ESTIMATED]),
    ("settled_estimate", lambda sums: sums[Measure.SETTLED_ESTIMATE]),
    ("actual", lambda sums: sums[Measure.ACTUAL]),
    ("open", lambda sums: sums.open),
    ("variance", lambda sums: sums.variance),
    ("charged_user_credits", lambda sums: int(sums[Measure.CHARGED])),
    ("refunded_user_credits", lambda sums: int(sums[Measure.REFUNDED])),
)
_ALL_COLUMNS = (*_COUNT_COLUMNS, *_AMOUNT_COLUMNS)
# Cancelled jobs are not counted by user.
_USER_COLUMNS = tuple(column for column in _ALL_COLUMNS if column[0] != "cancelled")


def build_timeline(date_range: DateRange, totals: CostTotals) -> Table:
    """Return estimates and actual costs by hour, day or month."""
    zone = site_zone()
    return Table(
        "timeline",
        ("from", "until", *_names(_ALL_COLUMNS)),
        [
            (
                window.starts_at.astimezone(zone),
                window.ends_at.astimezone(zone),
                *_cells(_ALL_COLUMNS, totals.by_window[window.starts_at]),
            )
            for window in date_range.windows
        ],
    )


def build_models(totals: CostTotals) -> Table:
    """Return costs and durations of generation by model."""
    return Table(
        "models",
        ("model", *_names(_ALL_COLUMNS), "margin_share", "p50_s", "p95_s", "p99_s"),
        [
            (
                row.model,
                *_cells(_ALL_COLUMNS, row.sums),
                _round_share(row.margin),
                *(round(s, 1) if s is not None else None for s in (row.times.p50_s, row.times.p95_s, row.times.p99_s)),
            )
            for row in breakdowns.build_model_rows(totals)
        ],
    )


def build_users(date_range: DateRange) -> Table:
    """Return costs by user, the highest estimate first."""
    return Table(
        "users",
        ("user_id", "email", *_names(_USER_COLUMNS)),
        (
            (row.user_id, row.email, *_cells(_USER_COLUMNS, row.sums))
            for row in breakdowns.read_user_rows(date_range, limit=USERS_EXPORTED)
        ),
    )


def build_failures(totals: CostTotals) -> Table:
    """Return why videos failed: the number of each failure code."""
    rows = breakdowns.build_label_rows(totals.count_labels(Measure.FAILURE))
    return Table("failures", ("failure_code", "videos", "share"), [_label_cells(row) for row in rows])


def build_callbacks(totals: CostTotals) -> Table:
    """Return how the provider's results arrived (see `breakdowns.RESULT_SOURCES`), with the number of each way."""
    rows = breakdowns.build_label_rows(totals.count_labels(Measure.VERDICT), order=breakdowns.RESULT_SOURCES)
    return Table("callbacks", ("came_by", "videos", "share"), [_label_cells(row) for row in rows])


def build_balance(curve: BalanceCurve) -> Table:
    """Return balance readings and top-ups, oldest first."""
    zone = site_zone()
    points = [("reading", point) for point in curve.points] + [("top_up", point) for point in curve.top_ups]
    points.sort(key=lambda pair: pair[1].at)
    rows = [(point.at.astimezone(zone), kind, point.balance) for kind, point in points]
    return Table("balance", ("at", "kind", "amount"), rows)


def build_alerts(alerts: Iterable[Alert]) -> Table:
    """Return the given alerts as rows."""
    zone = site_zone()
    return Table(
        "alerts",
        ("last_at", "severity", "kind", "cause", "detail", "times"),
        [
            (
                alert.last_at.astimezone(zone),
                str(alert.severity),
                str(alert.kind),
                alert.cause,
                alert.detail,
                alert.count,
            )
            for alert in alerts
        ],
    )


def _names(columns: Iterable[Column]) -> Iterable[str]:
    return (name for name, _get_cell in columns)


def _cells(columns: Iterable[Column], sums: Sums) -> list[Cell]:
    return [get_cell(sums) for _name, get_cell in columns]


def _label_cells(row: breakdowns.LabelRow) -> tuple[Cell, ...]:
    return row.label, row.count, _round_share(row.share)


def _round_share(share: float | None) -> float | None:
    return None if share is None else round(share, 4)

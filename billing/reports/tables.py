"""The page's tables as plain rows, for spreadsheets and programs. Names of columns are stable and never translated."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from billing.common.csv_export import Cell
from billing.common.periods import site_zone
from billing.models import Alert, Measure
from billing.reports import figures
from billing.reports.balance import Curve
from billing.reports.ranges import Range
from billing.reports.readings import Reading, Sums

# As many users as a file holds; the page shows the first of them.
USERS_EXPORTED = 100_000


@dataclass(frozen=True)
class Table:
    """Rows under columns. Amounts are provider credits unless a column says user credits; shares are of one."""

    name: str
    columns: Sequence[str]
    rows: Iterable[Sequence[Cell]]


Column = tuple[str, Callable[[Sums], Cell]]

_COUNTS: tuple[Column, ...] = (
    ("videos", lambda sums: int(sums[Measure.ORDERED])),
    ("ready", lambda sums: int(sums[Measure.READY])),
    ("failed", lambda sums: int(sums[Measure.FAILED])),
    ("cancelled", lambda sums: int(sums[Measure.CANCELLED])),
    ("success_share", lambda sums: _share(sums.success_share)),
)
_MONEY: tuple[Column, ...] = (
    ("estimated", lambda sums: sums[Measure.ESTIMATED]),
    ("settled_estimate", lambda sums: sums[Measure.SETTLED_ESTIMATE]),
    ("actual", lambda sums: sums[Measure.ACTUAL]),
    ("open", lambda sums: sums.open),
    ("variance", lambda sums: sums.variance),
    ("charged_user_credits", lambda sums: int(sums[Measure.CHARGED])),
    ("refunded_user_credits", lambda sums: int(sums[Measure.REFUNDED])),
)
# What is kept of each user.
_OF_USER = tuple(column for column in (*_COUNTS, *_MONEY) if column[0] != "cancelled")


def timeline(wanted: Range, reading: Reading) -> Table:
    """Estimate and actual by hour, day or month."""
    columns = (*_COUNTS, *_MONEY)
    zone = site_zone()
    return Table(
        "timeline",
        ("from", "until", *(name for name, _ in columns)),
        [
            (
                one.starts_at.astimezone(zone),
                one.ends_at.astimezone(zone),
                *_cells(columns, reading.windows[one.starts_at]),
            )
            for one in wanted.windows
        ],
    )


def models(reading: Reading) -> Table:
    """By model, with how long videos took."""
    columns = (*_COUNTS, *_MONEY)
    return Table(
        "models",
        ("model", *(name for name, _ in columns), "margin_share", "p50_s", "p95_s", "p99_s"),
        [
            (
                row.model,
                *_cells(columns, row.sums),
                _share(row.margin),
                *(round(s, 1) if s is not None else None for s in (row.times.p50_s, row.times.p95_s, row.times.p99_s)),
            )
            for row in figures.model_rows(reading)
        ],
    )


def users(wanted: Range) -> Table:
    """By user, whoever cost most first."""
    return Table(
        "users",
        ("user_id", "email", *(name for name, _ in _OF_USER)),
        (
            (row.user_id, row.email, *_cells(_OF_USER, row.sums))
            for row in figures.user_rows(wanted, most=USERS_EXPORTED)
        ),
    )


def failures(reading: Reading) -> Table:
    """Why videos failed."""
    rows = figures.counted(reading.labelled(Measure.FAILURE))
    return Table("failures", ("failure_code", "videos", "share"), [_counted(row) for row in rows])


def verdicts(reading: Reading) -> Table:
    """How the provider's verdicts came."""
    rows = figures.counted(reading.labelled(Measure.VERDICT), order=figures.WAYS)
    return Table("callbacks", ("came_by", "videos", "share"), [_counted(row) for row in rows])


def balance(curve: Curve) -> Table:
    """Readings and top-ups, oldest first."""
    zone = site_zone()
    rows = [("reading", point) for point in curve.points] + [("top_up", point) for point in curve.top_ups]
    rows.sort(key=lambda row: row[1].at)
    return Table(
        "balance", ("at", "kind", "amount"), [(one.at.astimezone(zone), kind, one.balance) for kind, one in rows]
    )


def alerts(rows: Iterable[Alert]) -> Table:
    """What is open now."""
    zone = site_zone()
    return Table(
        "alerts",
        ("last_at", "severity", "kind", "cause", "detail", "times"),
        [
            (row.last_at.astimezone(zone), str(row.severity), str(row.kind), row.cause, row.detail, row.count)
            for row in rows
        ],
    )


def _cells(columns: Iterable[Column], sums: Sums) -> list[Cell]:
    return [of(sums) for _name, of in columns]


def _counted(row: figures.Counted) -> tuple[Cell, ...]:
    return row.label, row.count, _share(row.share)


def _share(share: float | None) -> float | None:
    return None if share is None else round(share, 4)

"""Costs of a stretch of days by day, hour, month, model or user, from counts: estimate, actual, and how far they are apart."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from accounts.models import User
from billing.common.csv_export import Cell
from billing.common.periods import day_window, site_zone
from billing.costs import rollups
from billing.models import Measure, Period
from billing.reports.readings import Sums
from billing.reports.tables import Table

BY = ("day", "user", "model", "hour", "month")
# More users than any report can hold.
_EVERYBODY = 10_000_000

# What is kept of users as well, so that every report has the same columns.
_COLUMNS = (
    "jobs",
    "ready",
    "failed",
    "estimated",
    "settled_estimate",
    "actual",
    "variance",
    "variance_percent",
    "user_credits_charged",
    "user_credits_refunded",
)


@dataclass(frozen=True)
class Report:
    """One row of sums for each name, and their total; amounts are provider credits unless they say otherwise."""

    by: str
    rows: list[tuple[str, Sums]]

    @property
    def total(self) -> Sums:
        everything = Sums()
        for _, sums in self.rows:
            everything.add(sums)
        return everything

    def table(self) -> Table:
        """The rows and then the total, as cells."""
        rows = [*self.rows, ("total", self.total)] if self.rows else []
        return Table(f"costs-by-{self.by}", (self.by, *_COLUMNS), [(name, *_cells(sums)) for name, sums in rows])


def report(*, first: date, last: date, by: str) -> Report:
    """From the first day until the end of the last, on the site's calendar. One query; two for users. `by` is one of BY."""
    since, until = day_window(first).starts_at, day_window(last).ends_at
    if by == "user":
        return Report(by, list(_users(since, until)))
    period = Period.HOUR if by == "hour" else Period.DAY
    found: dict[str, Sums] = defaultdict(Sums)
    # In the order of time, or of models' names. Months are summed from days: a stretch need not begin with one.
    for row in rollups.read_totals(period, since=since, until=until, measures=rollups.USER_MEASURES):
        found[_name(by, row)][row.measure] += row.amount
    return Report(by, sorted(found.items()) if by == "model" else list(found.items()))


def _name(by: str, row: rollups.TotalRow) -> str:
    local = row.starts_at.astimezone(site_zone())
    if by == "hour":
        # With its offset: the hour that daylight saving repeats is two.
        return local.isoformat(sep=" ", timespec="minutes")
    return {"model": row.model, "month": f"{local:%Y-%m}", "day": f"{local:%Y-%m-%d}"}[by]


def _users(since: datetime, until: datetime) -> Iterable[tuple[str, Sums]]:
    """Whoever was estimated to cost most first."""
    rows = rollups.rank_users(Period.DAY, since=since, until=until, by=Measure.ESTIMATED, most=_EVERYBODY)
    emails = dict(User.objects.filter(pk__in=[row.user_id for row in rows]).values_list("pk", "email"))
    for row in rows:
        sums = Sums()
        sums.update(row.amounts)
        yield emails.get(row.user_id, f"user {row.user_id}"), sums


def _cells(sums: Sums) -> Iterable[Cell]:
    share = sums.variance_share
    return (
        int(sums[Measure.ORDERED]),
        int(sums[Measure.READY]),
        int(sums[Measure.FAILED]),
        sums[Measure.ESTIMATED],
        sums[Measure.SETTLED_ESTIMATE],
        sums[Measure.ACTUAL],
        sums.variance,
        None if share is None else round(Decimal(share) * 100, 2),
        int(sums[Measure.CHARGED]),
        int(sums[Measure.REFUNDED]),
    )

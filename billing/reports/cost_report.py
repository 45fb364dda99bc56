"""Builds the cost report: estimate, actual cost and variance of a range of days by day, hour, month, model or user.

The variance is the actual cost of settled jobs (those of known cost) minus their estimates.
"""

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
from billing.reports.cost_totals import Sums
from billing.reports.tables import Table

GROUPINGS = ("day", "user", "model", "hour", "month")
# The limit of `rank_users` for a report of all users: higher than any real number of users.
_ALL_USERS = 10_000_000

# Only measures that are also counted by user, so that every report has the same columns.
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
    """The rows of a report as (name, sums); `by` is one of GROUPINGS.

    Amounts are provider credits unless a column says user credits.
    """

    by: str
    rows: list[tuple[str, Sums]]

    @property
    def total(self) -> Sums:
        total = Sums()
        for _, sums in self.rows:
            total.add(sums)
        return total

    def table(self) -> Table:
        """Return the rows as cells, followed by their total if there are any rows."""
        rows = [*self.rows, ("total", self.total)] if self.rows else []
        return Table(f"costs-by-{self.by}", (self.by, *_COLUMNS), [(name, *_cells(sums)) for name, sums in rows])


def build_report(*, first: date, last: date, by: str) -> Report:
    """Build the report from the first day to the end of the last, in the site's time zone, grouped by one of GROUPINGS.

    Makes one query, or two when grouped by user.
    """
    since, until = day_window(first).starts_at, day_window(last).ends_at
    if by == "user":
        return Report(by, list(_read_users(since, until)))
    period = Period.HOUR if by == "hour" else Period.DAY
    groups: dict[str, Sums] = defaultdict(Sums)
    # Months are summed from days, because the range may begin in the middle of a month.
    for row in rollups.read_totals(period, since=since, until=until, measures=rollups.USER_MEASURES):
        groups[_group_name(by, row)][row.measure] += row.amount
    # Rows are read in order of time; models are sorted by name.
    return Report(by, sorted(groups.items()) if by == "model" else list(groups.items()))


def _group_name(by: str, row: rollups.TotalRow) -> str:
    local = row.starts_at.astimezone(site_zone())
    if by == "hour":
        # The UTC offset is included, because the end of daylight saving time repeats an hour.
        return local.isoformat(sep=" ", timespec="minutes")
    return {"model": row.model, "month": f"{local:%Y-%m}", "day": f"{local:%Y-%m-%d}"}[by]


def _read_users(since: datetime, until: datetime) -> Iterable[tuple[str, Sums]]:
    """Yield (address, sums) of each user, the highest estimate first."""
    rows = rollups.rank_users(Period.DAY, since=since, until=until, by=Measure.ESTIMATED, limit=_ALL_USERS)
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

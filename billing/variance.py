"""How far costs were from their estimates: of one job, by day, by model. In provider credits; above zero: dearer than thought."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from billing import tally
from billing.models import Measure, Period, Spend

Key = TypeVar("Key", str, datetime)

ZERO = Decimal(0)
_MEASURES = (Measure.SETTLED, Measure.SETTLED_ESTIMATE, Measure.ACTUAL)


@dataclass(frozen=True)
class Variance:
    """Jobs whose cost is known: what they were estimated at, what they cost."""

    jobs: int
    estimated: Decimal
    actual: Decimal

    @property
    def difference(self) -> Decimal:
        return self.actual - self.estimated

    @property
    def percent(self) -> Decimal | None:
        """Of the estimate; None without one."""
        return self.difference / self.estimated * 100 if self.estimated else None


def of_job(spend: Spend) -> Variance | None:
    """One job's; None while its cost is not known."""
    return None if spend.actual is None else Variance(1, spend.estimated, spend.actual)


def by_window(period: Period, *, since: datetime, until: datetime) -> dict[datetime, Variance]:
    """By hour, day or month in which jobs were ordered, oldest first; [since, until) begin and end with a window."""
    return _by(lambda row: row.starts_at, period, since, until)


def by_model(*, since: datetime, until: datetime) -> dict[str, Variance]:
    """By model, of the days in [since, until)."""
    return _by(lambda row: row.model, Period.DAY, since, until)


def _by(key: Callable[[tally.Row], Key], period: Period, since: datetime, until: datetime) -> dict[Key, Variance]:
    sums: dict[Key, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for row in tally.rows(period, since=since, until=until, measures=_MEASURES):
        sums[key(row)][row.measure] += row.amount
    return {
        name: Variance(int(sum_[Measure.SETTLED]), sum_[Measure.SETTLED_ESTIMATE], sum_[Measure.ACTUAL])
        for name, sum_ in sorted(sums.items())
    }

"""Breaks cost totals down by model, by user and by label, into the rows of the dashboard's tables.

A *label* divides a count further, for example failed jobs by their failure code (see `billing.models.Measure`).
"""

from dataclasses import dataclass

from billing.costs import rollups
from billing.costs.histogram import duration_percentile
from billing.models import Measure
from billing.pricing import margins
from billing.reports.cost_totals import CostTotals, Sums
from billing.reports.date_ranges import DateRange

USERS_SHOWN = 20
# How a result can arrive: by callback, by polling, or (repair) for a job that had failed or was not known as sent.
RESULT_SOURCES = ("callback", "poll", "repair")


@dataclass(frozen=True)
class Percentiles:
    """Percentiles of durations, in seconds; each is None if no durations were counted."""

    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


@dataclass(frozen=True)
class ModelRow:
    """The totals of one model in the date range."""

    model: str
    sums: Sums
    times: Percentiles

    @property
    def margin(self) -> float | None:
        return compute_margin_share(self.sums)


@dataclass(frozen=True)
class UserRow:
    """The totals of one user in the date range; `email` is empty when the account was deleted."""

    user_id: int
    email: str
    sums: Sums


@dataclass(frozen=True)
class LabelRow:
    """How often a label was counted, and its share of the total."""

    label: str
    count: int
    share: float


def compute_percentiles(counts: dict[str, int]) -> Percentiles:
    """Compute percentiles of a histogram."""
    return Percentiles(*(duration_percentile(counts, share) for share in (0.5, 0.95, 0.99)))


def compute_margin_share(sums: Sums) -> float | None:
    """Return what users paid (less refunds) minus our cost, as a share of what they paid; None when they paid nothing."""
    paid = int(sums[Measure.CHARGED] - sums[Measure.REFUNDED])
    percent = margins.Margin(paid, sums.cost).percent
    return None if percent is None else float(percent / 100)


def build_model_rows(totals: CostTotals) -> list[ModelRow]:
    """Return a row for each model, the most expensive first."""
    rows = [
        ModelRow(model, sums, compute_percentiles(totals.count_labels(Measure.GENERATION, model)))
        for model, sums in totals.by_model.items()
    ]
    return sorted(rows, key=lambda row: (-row.sums.cost, row.model))


def read_user_rows(date_range: DateRange, *, limit: int = USERS_SHOWN) -> list[UserRow]:
    """Read the users with the highest estimates in one query."""
    rows = rollups.rank_users(
        date_range.sum_period, since=date_range.since, until=date_range.until, by=Measure.ESTIMATED, limit=limit
    )
    return [UserRow(row.user_id, row.email, Sums(row.amounts)) for row in rows]


def build_label_rows(counts: dict[str, int], *, order: tuple[str, ...] = ()) -> list[LabelRow]:
    """Return a row for each label: those named in `order` first, even if not counted, then the most frequent."""
    total = sum(counts.values())
    labels = [*order, *sorted(set(counts) - set(order), key=lambda label: (-counts[label], label))]
    return [LabelRow(label, counts.get(label, 0), counts.get(label, 0) / total if total else 0.0) for label in labels]

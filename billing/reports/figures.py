"""Rows of the page's tables, from one reading."""

from dataclasses import dataclass

from billing.costs import rollups
from billing.costs.histogram import duration_percentile
from billing.models import Measure
from billing.pricing import margins
from billing.reports.ranges import Range
from billing.reports.readings import Reading, Sums

USERS_SHOWN = 20
# By callback, by our own asking, and by the nightly repair.
WAYS = ("callback", "poll", "repair")


@dataclass(frozen=True)
class Times:
    """In seconds; None while nothing was timed."""

    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


@dataclass(frozen=True)
class ModelRow:
    """One model in the range."""

    model: str
    sums: Sums
    times: Times

    @property
    def margin(self) -> float | None:
        return margin_of(self.sums)


@dataclass(frozen=True)
class UserRow:
    """One user in the range; the address is empty when the account is gone."""

    user_id: int
    email: str
    sums: Sums


@dataclass(frozen=True)
class Counted:
    """How often something happened, and which share of all that is."""

    label: str
    count: int
    share: float


def times(counts: dict[str, int]) -> Times:
    """Of a histogram."""
    return Times(*(duration_percentile(counts, share) for share in (0.5, 0.95, 0.99)))


def margin_of(sums: Sums) -> float | None:
    """What is left of what users paid (and did not get back) after our cost, as a share of it; None when they paid nothing."""
    kept = int(sums[Measure.CHARGED] - sums[Measure.REFUNDED])
    percent = margins.Margin(kept, sums.cost).percent
    return None if percent is None else float(percent / 100)


def model_rows(reading: Reading) -> list[ModelRow]:
    """The dearest first."""
    rows = [
        ModelRow(model, sums, times(reading.labelled(Measure.GENERATION, model)))
        for model, sums in reading.models.items()
    ]
    return sorted(rows, key=lambda row: (-row.sums.cost, row.model))


def user_rows(wanted: Range, *, most: int = USERS_SHOWN) -> list[UserRow]:
    """Who was estimated to cost most. One query."""
    found = rollups.rank_users(wanted.sums, since=wanted.since, until=wanted.until, by=Measure.ESTIMATED, most=most)
    return [UserRow(row.user_id, row.email, Sums(row.amounts)) for row in found]


def counted(counts: dict[str, int], *, order: tuple[str, ...] = ()) -> list[Counted]:
    """The most frequent first; those named in `order` always and in that order."""
    total = sum(counts.values())
    labels = [*order, *sorted(set(counts) - set(order), key=lambda label: (-counts[label], label))]
    return [Counted(label, counts.get(label, 0), counts.get(label, 0) / total if total else 0.0) for label in labels]

"""Adds up jobs for a reconciliation: by model, and by the *basis* of their cost, which is how it became known.

`Spend.Basis` lists the bases.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

ZERO = Decimal(0)


@dataclass
class Jobs:
    """A number of jobs, with their estimated and actual cost in provider credits (positive)."""

    count: int = 0
    estimated: Decimal = ZERO
    actual: Decimal = ZERO

    def add(self, count: int, estimated: Decimal, actual: Decimal) -> None:
        self.count += count
        self.estimated += estimated
        self.actual += actual


class Group(NamedTuple):
    """The properties by which jobs are grouped to be summed."""

    model: str
    basis: str
    is_known: bool  # the cost was known at the closing reading
    is_free: bool  # the cost is zero or not known yet


class GroupSums(defaultdict[Group, Jobs]):
    """The jobs of an account, summed by group."""

    def sum_where(self, is_wanted: Callable[[Group], bool]) -> Jobs:
        """The sum of the groups for which `is_wanted` is true."""
        total = Jobs()
        for group, jobs in self.items():
            if is_wanted(group):
                total.add(jobs.count, jobs.estimated, jobs.actual)
        return total

    def sum_known_by(self, name: str) -> dict[str, Jobs]:
        """The jobs of known cost, by the property of `Group` called `name` (`model` or `basis`)."""
        sums: dict[str, Jobs] = defaultdict(Jobs)
        for group, jobs in self.items():
            if group.is_known:
                sums[getattr(group, name)].add(jobs.count, jobs.estimated, jobs.actual)
        return dict(sorted(sums.items()))

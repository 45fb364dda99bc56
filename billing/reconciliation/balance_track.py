"""Computes which changes of a balance no job or entry explains. Uses neither the database nor the clock.

Amounts are provider credits.

A job is *open* between our sending it and our learning its cost. The provider charges it at some time in between, so a
reading may or may not include the charge, and allows a *range* of unexplained amounts. The track keeps the intersection of
all ranges so far. If the range of a reading does not overlap it, there is a *jump*: an unexplained change, taken as small as
possible. A provider that charges correctly therefore never causes a jump, whenever it charges, and other losses are found
in full at the first reading without open jobs.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

ZERO = Decimal(0)


@dataclass(frozen=True)
class Reading:
    """A balance that was read at the time `at`. `pk` is the id of the stored row (BalanceSnapshot)."""

    at: datetime
    balance: Decimal
    pk: int


class Job(NamedTuple):
    """A job whose cost is between zero and `max_cost` from `since` until `known_at`, and `actual` from then on.

    `known_at` is None if the cost never becomes known.
    """

    since: datetime
    known_at: datetime | None
    actual: Decimal
    max_cost: Decimal


@dataclass(frozen=True)
class Movement:
    """A change of the balance other than a charge for a job: a top-up, or credits that the provider gave back."""

    at: datetime
    amount: Decimal


@dataclass(frozen=True)
class Jump:
    """An unexplained change between two readings, of at least `amount` (negative: credits are missing)."""

    before: Reading
    after: Reading
    amount: Decimal


@dataclass(frozen=True, kw_only=True)
class Track:
    """What `follow_balance` found, as of the last reading.

    `settled` is what jobs of known cost have cost since the first reading, `movements` the sum of other changes. Open
    jobs may have cost up to `open_before` before the first reading and up to `open_now` by the last one. Up to `slack`
    further credits may have been added unnoticed, hidden by the possible cost of open jobs.
    """

    first: Reading
    last: Reading
    jumps: tuple[Jump, ...]
    settled: Decimal
    movements: Decimal
    open_before: Decimal
    open_now: Decimal
    slack: Decimal

    @property
    def unexplained(self) -> Decimal:
        """The sum of all jumps: negative when credits are missing."""
        return sum((jump.amount for jump in self.jumps), ZERO)

    @property
    def in_flight(self) -> Decimal:
        """The cost of open jobs since the first reading, inferred from the balance."""
        return self.first.balance + self.movements - self.settled + self.unexplained - self.last.balance


def follow_balance(readings: Sequence[Reading], jobs: Iterable[Job], movements: Iterable[Movement]) -> Track:
    """Follow a balance through its readings: at least one, in order of time.

    `jobs` are all jobs that may have been charged after the first reading, in any order. They are consumed one by one,
    because there may be a million. Movements up to the first reading are ignored.
    """
    first, last = readings[0], readings[-1]
    times = [reading.at for reading in readings]
    # Changes of the expected balance and of the possible cost of open jobs, by the index of the first reading that shows
    # them. The last slot is for changes after the last reading.
    known_changes, unknown_changes = ([ZERO] * (len(readings) + 1) for _ in range(2))
    for job in jobs:
        unknown_changes[bisect_left(times, job.since)] += job.max_cost
        if job.known_at is not None:
            index = bisect_left(times, job.known_at)
            known_changes[index] -= job.actual
            unknown_changes[index] -= job.max_cost
    received = ZERO
    for movement in movements:
        if first.at < movement.at <= last.at:
            known_changes[bisect_left(times, movement.at)] += movement.amount
            received += movement.amount

    known, unknown = first.balance, ZERO
    jumps: list[Jump] = []
    kept_low = kept_high = open_before = slack = ZERO
    for index, reading in enumerate(readings):
        known += known_changes[index]
        unknown += unknown_changes[index]
        # The range that this reading allows; `kept_low` and `kept_high` are the intersection of all ranges so far.
        range_low = reading.balance - known
        range_high = range_low + unknown
        if index == 0:
            kept_low, kept_high, open_before = range_low, range_high, unknown
        elif range_low > kept_high:
            jumps.append(Jump(readings[index - 1], reading, range_low - kept_high))
            kept_low = kept_high = range_low
        elif range_high < kept_low:
            jumps.append(Jump(readings[index - 1], reading, range_high - kept_low))
            kept_low = kept_high = range_high
        else:
            kept_low, kept_high = max(kept_low, range_low), min(kept_high, range_high)
        slack = range_high - kept_high
    return Track(
        first=first,
        last=last,
        jumps=tuple(jumps),
        settled=first.balance + received - known,
        movements=received,
        open_before=open_before,
        open_now=unknown,
        slack=slack,
    )

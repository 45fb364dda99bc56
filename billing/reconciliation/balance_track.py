"""What a balance did that jobs and entries do not explain: reckoning alone, no rows, no clock. In provider credits.

A provider takes a job's credits somewhere between our sending it and our learning its cost. Until then a reading may show
it or not, so each reading allows a *range* of what may be unexplained. The track holds what all readings so far allow in
common; a reading that allows none of it is a jump, no larger than it must be. Hence a provider that does as it says
never makes one, at whatever moment it charges, and what is taken besides is found in full at the first quiet reading.
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
    """A balance as read, and the number of the row it comes from."""

    at: datetime
    balance: Decimal
    pk: int


class Job(NamedTuple):
    """From `since` on it may have taken up to `most`; from `known_at` on it has taken `actual`. None: never known."""

    since: datetime
    known_at: datetime | None
    actual: Decimal
    most: Decimal


@dataclass(frozen=True)
class Movement:
    """What else moved the balance: a top-up, something given back."""

    at: datetime
    amount: Decimal


@dataclass(frozen=True)
class Jump:
    """Between two readings the balance fell (below zero) or rose by `amount` more than anything explains, at the least."""

    before: Reading
    after: Reading
    amount: Decimal


@dataclass(frozen=True, kw_only=True)
class Track:
    """What came of it, at the last reading.

    `settled` is what known jobs took since the first reading, `movements` what else moved. `open_before` may have been taken
    before the first reading, `open_now` is what jobs not known yet may have taken. `room`: so much more than the jumps say
    may have come in.
    """

    first: Reading
    last: Reading
    jumps: tuple[Jump, ...]
    settled: Decimal
    movements: Decimal
    open_before: Decimal
    open_now: Decimal
    room: Decimal

    @property
    def found(self) -> Decimal:
        """All jumps together: below zero when credits are gone."""
        return sum((jump.amount for jump in self.jumps), ZERO)

    @property
    def in_flight(self) -> Decimal:
        """What jobs not known yet must have taken (less what they had taken before), for the sum to be right."""
        return self.first.balance + self.movements - self.settled + self.found - self.last.balance


def follow_balance(readings: Sequence[Reading], jobs: Iterable[Job], movements: Iterable[Movement]) -> Track:
    """Follow one balance through its readings, at least one, in order of time.

    `jobs` are those that may have taken something after the first reading, in any order: there may be a million, and
    each is needed only as it passes. Movements up to the first reading are left out.
    """
    first, last = readings[0], readings[-1]
    times = [reading.at for reading in readings]
    # What each reading is the first to show, added to what is known and to the part that is not; then what none shows.
    to_known, to_unknown = ([ZERO] * (len(readings) + 1) for _ in range(2))
    for job in jobs:
        to_unknown[bisect_left(times, job.since)] += job.most
        if job.known_at is not None:
            place = bisect_left(times, job.known_at)
            to_known[place] -= job.actual
            to_unknown[place] -= job.most
    received = ZERO
    for one in movements:
        if first.at < one.at <= last.at:
            to_known[bisect_left(times, one.at)] += one.amount
            received += one.amount

    known, unknown = first.balance, ZERO
    jumps: list[Jump] = []
    low = high = open_before = room = ZERO
    for number, reading in enumerate(readings):
        known += to_known[number]
        unknown += to_unknown[number]
        least = reading.balance - known
        most = least + unknown
        if number == 0:
            low, high, open_before = least, most, unknown
        elif least > high:
            jumps.append(Jump(readings[number - 1], reading, least - high))
            low = high = least
        elif most < low:
            jumps.append(Jump(readings[number - 1], reading, most - low))
            low = high = most
        else:
            low, high = max(low, least), min(high, most)
        room = most - high
    return Track(
        first=first,
        last=last,
        jumps=tuple(jumps),
        settled=first.balance + received - known,
        movements=received,
        open_before=open_before,
        open_now=unknown,
        room=room,
    )

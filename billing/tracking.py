"""What a balance did that jobs and entries do not explain: reckoning alone, no rows, no clock. In provider credits.

A provider takes a job's credits somewhere between our sending it and our learning its cost. Until then a reading may show
it or not, so each reading allows a *range* of what may be unexplained. The track holds what all readings so far allow in
common; a reading that allows none of it is a jump, no larger than it must be. Hence a provider that does as it says
never makes one, at whatever moment it charges, and what is taken besides is found in full at the first quiet reading.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

ZERO = Decimal(0)


@dataclass(frozen=True)
class Reading:
    """A balance as read, and the number of the row it comes from."""

    at: datetime
    balance: Decimal
    pk: int


@dataclass(frozen=True)
class Job:
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


def track(readings: Sequence[Reading], jobs: Iterable[Job], movements: Iterable[Movement]) -> Track:
    """Follow one balance through its readings, at least one, in order of time.

    `jobs` are those that may have taken something after the first reading; movements up to it are left out.
    """
    first = readings[0]
    # (when, what it adds to what is known, what to the part that is not)
    steps: list[tuple[datetime, Decimal, Decimal]] = []
    for job in jobs:
        steps.append((job.since, ZERO, job.most))
        if job.known_at is not None:
            steps.append((job.known_at, -job.actual, -job.most))
    inflow = [(one.at, one.amount) for one in movements if first.at < one.at <= readings[-1].at]
    steps += [(at, amount, ZERO) for at, amount in inflow]
    steps.sort(key=lambda step: step[0])

    known, unknown, place = first.balance, ZERO, 0
    jumps: list[Jump] = []
    low = high = open_before = room = ZERO
    for number, reading in enumerate(readings):
        while place < len(steps) and steps[place][0] <= reading.at:
            known += steps[place][1]
            unknown += steps[place][2]
            place += 1
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
    received = sum((amount for _, amount in inflow), ZERO)
    return Track(
        first=first,
        last=readings[-1],
        jumps=tuple(jumps),
        settled=first.balance + received - known,
        movements=received,
        open_before=open_before,
        open_now=unknown,
        room=room,
    )

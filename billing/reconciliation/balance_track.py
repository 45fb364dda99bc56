"""Computes which changes of a balance no job or entry explains, without database and clock. In provider credits.

A provider charges a job at some time between our sending it and our learning its cost. Until then a reading may or may
not include it, so each reading allows a *range* of unexplained amounts. The track keeps the intersection of all ranges so
far. A reading outside it is a jump, of the smallest size that is possible. A provider that charges correctly therefore
never causes a jump, whenever it charges, and other losses are found in full at the first reading without open jobs.
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
    """A balance that was read, and the id of its row."""

    at: datetime
    balance: Decimal
    pk: int


class Job(NamedTuple):
    """May have cost up to `most` from `since` on, and has cost `actual` from `known_at` on (None: never known)."""

    since: datetime
    known_at: datetime | None
    actual: Decimal
    most: Decimal


@dataclass(frozen=True)
class Movement:
    """Another change of the balance: a top-up, or credits given back."""

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
    """The result at the last reading.

    `settled` is what known jobs cost since the first reading, `movements` the sum of other changes. Open jobs may have cost
    up to `open_before` before the first reading and up to `open_now` by the last one. Up to `room` more than the jumps say
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
        """The sum of all jumps: negative when credits are missing."""
        return sum((jump.amount for jump in self.jumps), ZERO)

    @property
    def in_flight(self) -> Decimal:
        """What open jobs must have cost since the first reading for the sum to be right."""
        return self.first.balance + self.movements - self.settled + self.found - self.last.balance


def follow_balance(readings: Sequence[Reading], jobs: Iterable[Job], movements: Iterable[Movement]) -> Track:
    """Follow a balance through its readings: at least one, in order of time.

    `jobs` are all that may have been charged after the first reading, in any order. They are consumed one by one, because
    there may be a million. Movements up to the first reading are ignored.
    """
    first, last = readings[0], readings[-1]
    times = [reading.at for reading in readings]
    # Changes of the known and of the unknown amount, by the first reading that shows them; the last place is after all.
    to_known, to_unknown = ([ZERO] * (len(readings) + 1) for _ in range(2))
    for job in jobs:
        to_unknown[bisect_left(times, job.since)] += job.most
        if job.known_at is not None:
            place = bisect_left(times, job.known_at)
            to_known[place] -= job.actual
            to_unknown[place] -= job.most
    received = ZERO
    for movement in movements:
        if first.at < movement.at <= last.at:
            to_known[bisect_left(times, movement.at)] += movement.amount
            received += movement.amount

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

"""The only module that reads the machine's clock. A test replaces the clock with `replaced`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol

from django.db import connection


class Clock(Protocol):
    """A source of the current time (aware, in UTC) that can also wait for some seconds."""

    def now(self) -> datetime: ...
    def sleep(self, seconds: float) -> None: ...


class MachineClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


_machine = MachineClock()
_clock: Clock = _machine


def now() -> datetime:
    """The current time, aware, in UTC."""
    return _clock.now()


def database_now() -> datetime:
    """The database's current time, which all hosts share; leases and due times are measured with it."""
    if _clock is _machine and connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            value: datetime = cursor.fetchone()[0]
            return value.astimezone(UTC)
    # SQLite runs on one host, so its clock is the machine's.
    return _clock.now()


def sleep(seconds: float) -> None:
    """Wait; a test's clock may return at once and advance instead."""
    _clock.sleep(seconds)


@contextmanager
def replaced(clock: Clock) -> Iterator[None]:
    """Use a test's clock until the block ends."""
    global _clock
    previous, _clock = _clock, clock
    try:
        yield
    finally:
        _clock = previous

"""Orders for faults: how they are written, how often they strike, and which are in force."""

import argparse
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from videos.sandbox.faults.catalogue import NAMES

# NAME[=COUNT][:ARG][@PROBABILITY]; ARG may itself hold colons, equals signs and at-signs, as addresses do.
_ORDER = re.compile(
    r"(?P<name>[a-z0-9-]+)(=(?P<count>\d+))?(:(?P<arg>.*?))?(@(?P<chance>0|1|0?\.\d+|1\.0+))?", re.DOTALL
)


class BadOrder(argparse.ArgumentTypeError, ValueError):
    """The order names no known fault, or is not written as orders are; argparse shows the text."""


@dataclass(frozen=True, slots=True)
class Order:
    """One fault, ordered: for its first `count` events (None: all), each with `chance` between 0 and 1."""

    name: str
    arg: str = ""
    count: int | None = None
    chance: float = 1.0

    def number(self, default: float) -> float:
        """The argument as a number, or the default where it is none."""
        try:
            return float(self.arg)
        except ValueError:
            return default

    def __str__(self) -> str:
        count = "" if self.count is None else f"={self.count}"
        arg = f":{self.arg}" if self.arg else ""
        chance = "" if self.chance == 1 else f"@{self.chance:g}"
        return f"{self.name}{count}{arg}{chance}"


def parse(text: str) -> Order:
    """Read one order; BadOrder says what is wrong with it."""
    match = _ORDER.fullmatch(text.strip())
    if not match:
        raise BadOrder(f"{text!r} is not an order: write NAME[=COUNT][:ARG][@PROBABILITY]")
    if match["name"] not in NAMES:
        raise BadOrder(f"no fault is called {match['name']!r}: --list-faults shows them all")
    count = int(match["count"]) if match["count"] else None
    return Order(match["name"], match["arg"] or "", count, float(match["chance"] or 1))


@dataclass(slots=True)
class _InForce:
    """An order with its own seeded random numbers, what it has decided for each key, and how often it has struck."""

    order: Order
    rng: random.Random
    struck: int = 0
    decided: dict[str, bool] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)

    def decide(self) -> bool:
        spent = self.order.count is not None and self.struck >= self.order.count
        if spent or (self.order.chance < 1 and self.rng.random() >= self.order.chance):
            return False
        self.struck += 1
        return True


class FaultOrders:
    """The orders in force. The same seed, orders and sequence of events give the same faults."""

    def __init__(
        self, *, seed: int, orders: Iterable[Order] = (), on_strike: Callable[..., None] = lambda **_: None
    ) -> None:
        self._seed = seed
        self._on_strike = on_strike
        self._lock = threading.Lock()
        self._in_force: list[_InForce] = []
        self.add(orders)

    def replace(self, orders: Iterable[Order]) -> None:
        """Lift all orders, with what they decided, and give these instead."""
        with self._lock:
            self._in_force = []
        self.add(orders)

    def add(self, orders: Iterable[Order]) -> None:
        with self._lock:
            for order in orders:
                rng = random.Random(f"{self._seed}:{len(self._in_force)}:{order}")  # noqa: S311 - no secrets
                self._in_force.append(_InForce(order, rng))

    def orders(self) -> list[Order]:
        with self._lock:
            return [entry.order for entry in self._in_force]

    def strikes(self, name: str, *, key: str = "") -> Order | None:
        """The order that makes this event go wrong, or None.

        With a key (a task's id, a file's path) chance decides once for that key and the answer stays,
        until the order is lifted; without one, it decides for each event anew.
        """
        with self._lock:
            for entry in self._in_force:
                if entry.order.name != name:
                    continue
                known = key in entry.decided
                strikes = entry.decided[key] if known else entry.decide()
                if key:
                    entry.decided[key] = strikes
                if strikes:
                    break
            else:
                return None
        if not known:
            self._on_strike(order=str(entry.order), key=key)
        return entry.order

    def times(self, order: Order, key: str) -> int:
        """How often this was asked for the key and order, this time included: for "the first N times"."""
        with self._lock:
            for entry in self._in_force:
                if entry.order is order:
                    entry.times[key] += 1
                    return entry.times[key]
        return 1

"""Orders switch faults on. An order "strikes" when it makes one event fail, which depends on its count and probability."""

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
    """The order is malformed or names an unknown fault; argparse shows the message."""


@dataclass(frozen=True, slots=True)
class Order:
    """One fault that is switched on for its first `count` events, or all if None, each with probability `chance`."""

    name: str
    arg: str = ""
    count: int | None = None
    chance: float = 1.0

    def number(self, default: float) -> float:
        """The argument as a number, or the default if it is not a number."""
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
    """Parse one order. Raises BadOrder."""
    match = _ORDER.fullmatch(text.strip())
    if not match:
        raise BadOrder(f"{text!r} is not an order: write NAME[=COUNT][:ARG][@PROBABILITY]")
    if match["name"] not in NAMES:
        raise BadOrder(f"no fault is called {match['name']!r}: --list-faults shows them all")
    count = int(match["count"]) if match["count"] else None
    return Order(match["name"], match["arg"] or "", count, float(match["chance"] or 1))


@dataclass(slots=True)
class _ActiveOrder:
    """An order with its random numbers, its decisions by key, and the number of events it has made fail."""

    order: Order
    rng: random.Random
    strike_count: int = 0
    decided: dict[str, bool] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)

    def decide(self) -> bool:
        is_used_up = self.order.count is not None and self.strike_count >= self.order.count
        if is_used_up or (self.order.chance < 1 and self.rng.random() >= self.order.chance):
            return False
        self.strike_count += 1
        return True


class FaultOrders:
    """The active orders. The same seed, orders and sequence of events give the same faults."""

    def __init__(
        self, *, seed: int, orders: Iterable[Order] = (), on_strike: Callable[..., None] = lambda **_: None
    ) -> None:
        self._seed = seed
        self._on_strike = on_strike
        self._lock = threading.Lock()
        self._active: list[_ActiveOrder] = []
        self.add(orders)

    def replace(self, orders: Iterable[Order]) -> None:
        """Replace all orders and their decisions by these."""
        with self._lock:
            self._active = []
        self.add(orders)

    def add(self, orders: Iterable[Order]) -> None:
        with self._lock:
            for order in orders:
                rng = random.Random(f"{self._seed}:{len(self._active)}:{order}")  # noqa: S311 - no secrets
                self._active.append(_ActiveOrder(order, rng))

    def orders(self) -> list[Order]:
        with self._lock:
            return [entry.order for entry in self._active]

    def strikes(self, name: str, *, key: str = "") -> Order | None:
        """The order that makes this event fail, or None.

        With a key (a task id or a file path) the order decides once and keeps its decision for that key;
        without one, it decides again for each event.
        """
        with self._lock:
            for entry in self._active:
                if entry.order.name != name:
                    continue
                is_decided = key in entry.decided
                applies = entry.decided[key] if is_decided else entry.decide()
                if key:
                    entry.decided[key] = applies
                if applies:
                    break
            else:
                return None
        if not is_decided:
            self._on_strike(order=str(entry.order), key=key)
        return entry.order

    def times(self, order: Order, key: str) -> int:
        """Count this call; returns how many there were for this order and key. For faults of the first N requests."""
        with self._lock:
            for entry in self._active:
                if entry.order is order:
                    entry.times[key] += 1
                    return entry.times[key]
        return 1

"""Orders for faults: how they are written, how often they strike, and the book that holds the present ones."""

import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from videos.sandbox.catalogue import NAMES

# NAME[=COUNT][:ARG][@PROBABILITY]; ARG may itself hold colons, equals signs and at-signs, as addresses do.
_ORDER = re.compile(
    r"(?P<name>[a-z0-9-]+)(=(?P<count>\d+))?(:(?P<arg>.*?))?(@(?P<chance>0|1|0?\.\d+|1\.0+))?", re.DOTALL
)


class BadOrder(ValueError):
    """The order names no fault we know, or is not written as orders are."""


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
    return Order(
        name=match["name"],
        arg=match["arg"] or "",
        count=int(match["count"]) if match["count"] else None,
        chance=float(match["chance"]) if match["chance"] else 1.0,
    )


class _Standing:
    """An order in force: its own seeded dice, what it has decided, and how often it has struck."""

    def __init__(self, order: Order, dice: random.Random) -> None:
        self.order = order
        self.dice = dice
        self.struck = 0
        self.decided: dict[str, bool] = {}
        self.times: Counter[str] = Counter()

    def decide(self) -> bool:
        if self.order.count is not None and self.struck >= self.order.count:
            return False
        if self.order.chance < 1 and self.dice.random() >= self.order.chance:
            return False
        self.struck += 1
        return True


class Faultbook:
    """The faults now in force. The same seed, orders and sequence of events give the same strikes."""

    def __init__(
        self, *, seed: int, orders: Iterable[Order] = (), struck: Callable[..., None] = lambda **_: None
    ) -> None:
        self._seed = seed
        self._struck = struck
        self._lock = threading.Lock()
        self._standing: list[_Standing] = []
        self.replace(orders)

    def replace(self, orders: Iterable[Order]) -> None:
        """Lift everything and order these instead. What an order decided about a task is lifted with it."""
        with self._lock:
            self._standing = []
            self._add(orders)

    def add(self, orders: Iterable[Order]) -> None:
        with self._lock:
            self._add(orders)

    def _add(self, orders: Iterable[Order]) -> None:
        for order in orders:
            dice = random.Random(f"{self._seed}:{len(self._standing)}:{order}")  # noqa: S311 - dice, not secrets
            self._standing.append(_Standing(order, dice))

    def orders(self) -> list[Order]:
        with self._lock:
            return [standing.order for standing in self._standing]

    def strikes(self, name: str, *, key: str = "") -> Order | None:
        """The order that makes this event go wrong, or None.

        With a key (a task's id, a file's path) the dice are thrown once for that key and the answer stays,
        until the order is lifted; without one, each event throws anew.
        """
        with self._lock:
            for standing in self._standing:
                if standing.order.name != name:
                    continue
                if key in standing.decided:
                    strikes, known = standing.decided[key], True
                else:
                    strikes, known = standing.decide(), False
                    if key:
                        standing.decided[key] = strikes
                if strikes:
                    break
            else:
                return None
        if not known:
            self._struck(order=str(standing.order), key=key)
        return standing.order

    def times(self, order: Order, key: str) -> int:
        """How often we have asked this for the key and order, this time included: for "the first N times"."""
        with self._lock:
            for standing in self._standing:
                if standing.order is order:
                    standing.times[key] += 1
                    return standing.times[key]
        return 1

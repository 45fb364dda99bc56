"""The sandbox's own time, which may run faster than ours and be pushed forward, and what is due in it."""

import heapq
import itertools
import threading
import time
import traceback
from collections.abc import Callable

Act = Callable[[], None]


class Clock:
    """Epoch seconds that pass `speed` times as fast as the wall's, and jump when told to."""

    def __init__(self, *, speed: float = 1.0) -> None:
        self._lock = threading.Lock()
        self._speed = speed
        self._base = time.time()
        self._started = time.monotonic()

    def now(self) -> float:
        """Sandbox time in epoch seconds."""
        with self._lock:
            return self._now()

    @staticmethod
    def wall() -> float:
        """The real time of day, in epoch seconds: what the wire tells."""
        return time.time()

    def _now(self) -> float:
        return self._base + (time.monotonic() - self._started) * self._speed

    @property
    def speed(self) -> float:
        return self._speed

    def set_speed(self, speed: float) -> None:
        """Change the speed from now on; the time of day does not jump."""
        with self._lock:
            self._base, self._started, self._speed = self._now(), time.monotonic(), speed

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._base += seconds

    def wall_s(self, sandbox_s: float) -> float:
        """How long `sandbox_s` seconds of sandbox time take on the wall."""
        return sandbox_s / self._speed


class Agenda:
    """Acts to perform at a sandbox time, one after the other, on a thread of their own. Acts must be short."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, Act]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="sandbox-agenda", daemon=True)
        self._thread.start()

    def at(self, when: float, act: Act) -> None:
        with self._changed:
            heapq.heappush(self._due, (when, next(self._order), act))
            self._changed.notify()

    def after(self, sandbox_s: float, act: Act) -> None:
        self.at(self._clock.now() + sandbox_s, act)

    def wake(self) -> None:
        """Look again: the clock has jumped or changed its speed."""
        with self._changed:
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._due.clear()
            self._changed.notify()

    def _run(self) -> None:
        while (act := self._next()) is not None:
            try:
                act()
            except Exception:  # one act's mistake must not stop the clock for all the others
                traceback.print_exc()

    def _next(self) -> Act | None:
        with self._changed:
            while not self._stopped:
                if not self._due:
                    self._changed.wait()
                    continue
                remaining_s = self._due[0][0] - self._clock.now()
                if remaining_s <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(self._clock.wall_s(remaining_s))
            return None

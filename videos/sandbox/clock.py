"""The sandbox's own time, which may run faster than real time and be pushed forward, and what is due in it."""

import heapq
import itertools
import threading
import time
import traceback
from collections.abc import Callable

Action = Callable[[], object]


class Clock:
    """Epoch seconds that pass `speed` times as fast as real ones, and can be advanced."""

    def __init__(self, *, speed: float = 1.0) -> None:
        self._lock = threading.Lock()
        self._speed = speed
        self._base = time.time()
        self._started = time.monotonic()

    def now(self) -> float:
        """Sandbox time in epoch seconds."""
        with self._lock:
            return self._now()

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


class Schedule:
    """Actions to perform at a sandbox time, one after the other, on a thread of their own. They must be short."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, Action]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        threading.Thread(target=self._run, name="sandbox-schedule", daemon=True).start()

    def at(self, when: float, action: Action) -> None:
        with self._changed:
            heapq.heappush(self._due, (when, next(self._order), action))
            self._changed.notify()

    def after(self, sandbox_s: float, action: Action) -> None:
        self.at(self._clock.now() + sandbox_s, action)

    def wake(self) -> None:
        """Look again: the clock was advanced or changed its speed."""
        with self._changed:
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _run(self) -> None:
        while (action := self._next()) is not None:
            try:
                action()
            except Exception:  # an error in one action must not stop all the others
                traceback.print_exc()

    def _next(self) -> Action | None:
        with self._changed:
            while not self._stopped:
                remaining_s = self._due[0][0] - self._clock.now() if self._due else None
                if remaining_s is not None and remaining_s <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(None if remaining_s is None else remaining_s / self._clock.speed)
            return None

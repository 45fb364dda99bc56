"""The clock of the sandbox, which can run faster than real time and be advanced, and the schedule that follows it."""

import sched
import threading
import time
import traceback
from collections.abc import Callable


class Clock:
    """A clock in epoch seconds. They pass `speed` times as fast as real seconds, and the clock can be advanced."""

    def __init__(self, *, speed: float = 1.0) -> None:
        self._lock = threading.RLock()
        self.speed = speed
        self._base = time.time()
        self._started = time.monotonic()

    def now(self) -> float:
        """Sandbox time in epoch seconds."""
        with self._lock:
            return self._base + (time.monotonic() - self._started) * self.speed

    def set_speed(self, speed: float) -> None:
        """Change the speed from now on, without a jump in time."""
        with self._lock:
            self._base, self._started, self.speed = self.now(), time.monotonic(), speed

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._base += seconds


class Schedule:
    """Runs actions at given sandbox times, one after the other, on its own thread. Actions must be short."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due = sched.scheduler(clock.now)
        self._changed = threading.Event()
        self._stopped = False
        threading.Thread(target=self._run, name="sandbox-schedule", daemon=True).start()

    def at(self, when: float, action: Callable[[], object]) -> None:
        self._due.enterabs(when, 0, action)
        self.wake()

    def after(self, sandbox_s: float, action: Callable[[], object]) -> None:
        self.at(self._clock.now() + sandbox_s, action)

    def wake(self) -> None:
        """Check the due actions again, after an action was added or the clock was changed."""
        self._changed.set()

    def stop(self) -> None:
        self._stopped = True
        self.wake()

    def _run(self) -> None:
        while not self._stopped:
            self._changed.clear()
            try:
                remaining_s = self._due.run(blocking=False)
            except Exception:  # an error in one action must not stop the others
                traceback.print_exc()
            else:
                self._changed.wait(None if remaining_s is None else remaining_s / self._clock.speed)

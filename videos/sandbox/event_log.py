"""An append-only log of what happened at the simulated provider, with which tests compare the client's records."""

import json
import threading
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any

from videos.sandbox.clock import Clock


class EventLog:
    """Events in memory and, when a path is given, as JSON lines on disk. Only `clear` removes events, from memory.

    Each event has `n` (1, 2, 3...), `event`, `at` (sandbox epoch seconds), `wall` (real epoch seconds) and fields of its kind.
    Amounts are decimal strings. Submissions contain whole request bodies with secret callback URLs: the log is for tests,
    not for operators.
    """

    def __init__(self, clock: Clock, *, path: Path | None = None) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._events: list[dict[str, Any]] = []
        self._requests: Counter[str] = Counter()
        self.latest = 0  # the number of the last event
        self._file: IO[str] | None = path.open("a", encoding="utf-8") if path else None

    def append(self, event: str, **fields: Any) -> None:
        with self._lock:
            self.latest += 1
            at, wall = round(self._clock.now(), 3), round(time.time(), 3)
            row = {"n": self.latest, "event": event, "at": at, "wall": wall, **fields}
            self._events.append(row)
            if self._file:
                self._file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
                self._file.flush()

    def count(self, request: str) -> None:
        """Count one more request of this kind, e.g. `POST /api/v1/veo/generate`."""
        with self._lock:
            self._requests[request] += 1

    def events(self, *, since: int = 0) -> list[dict[str, Any]]:
        with self._lock:
            return [row for row in self._events if row["n"] > since]

    def requests(self) -> dict[str, int]:
        with self._lock:
            return dict(self._requests)

    def clear(self) -> None:
        """Forget the events in memory (when a test starts); the file keeps everything, and the numbering continues."""
        self.append("reset")
        with self._lock:
            self._events.clear()
            self._requests.clear()

    def close(self) -> None:
        with self._lock:
            if self._file:
                self._file.close()
                self._file = None

"""The state that a reset clears: tasks, files, balance, prices and the rate limit, guarded by one lock."""

import random
import secrets
import threading
import time
from collections import deque
from decimal import Decimal

from videos.sandbox.clock import Clock
from videos.sandbox.event_log import EventLog
from videos.sandbox.state.prices import PRICES
from videos.sandbox.state.tasks import StoredFile, Task
from videos.sandbox.video_spec import VideoSpec

RATE_LIMIT, RATE_WINDOW_S = 20, 10.0


class ProviderState:
    """The state of the simulated provider. Callers hold `lock` around several reads or changes that belong together."""

    def __init__(self, *, clock: Clock, log: EventLog, balance: Decimal, seed: int) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.rng = random.Random(seed)  # noqa: S311 - no secrets
        self.prices = dict(PRICES)
        self.balance = balance
        self.tasks: dict[str, Task] = {}
        self.files: dict[str, StoredFile] = {}
        self.accepted = 0
        self.closed = False
        self._log = log
        self._request_times: deque[float] = deque()

    def take_rate_slot(self) -> bool:
        """Count a request towards the limit of 20 per 10 sandbox seconds; False if the limit is reached."""
        with self.lock:
            now = self.clock.now()
            while self._request_times and self._request_times[0] <= now - RATE_WINDOW_S:
                self._request_times.popleft()
            if len(self._request_times) >= RATE_LIMIT:
                return False
            self._request_times.append(now)
            return True

    def change_balance(self, delta: Decimal, *, why: str, task_id: str = "") -> bool:
        """Change the balance and log it. Returns False without a change if it would fall below 0."""
        with self.lock:
            if self.balance + delta < 0:
                return False
            self.balance += delta
            self._log.append("balance", delta=str(delta), balance=str(self.balance), why=why, task_id=task_id)
            return True

    def set_balance(self, balance: Decimal, *, why: str) -> None:
        with self.lock:
            self.change_balance(balance - self.balance, why=why)

    def set_prices(self, changes: dict[str, Decimal]) -> None:
        """Set prices. Raises ValueError for an unknown item."""
        if unknown := changes.keys() - PRICES.keys():
            raise ValueError(f"no price is called {min(unknown)!r}")
        with self.lock:
            self.prices.update(changes)

    def find_other_task(self, task: Task) -> Task | None:
        """The newest task except this one, for replies about the wrong task."""
        with self.lock:
            return next((other for other in reversed(self.tasks.values()) if other is not task), None)

    def store(self, video: VideoSpec, *, task_id: str, folder: str = "v", poster: bool = False) -> str:
        """Put a video or its poster on the file host; returns the path, `/v/<32 hex>_<unix>.mp4`."""
        suffix, content_type = ("jpg", "image/jpeg") if poster else ("mp4", "video/mp4")
        path = f"/{folder}/{new_id()}_{int(time.time())}.{suffix}"
        with self.lock:
            self.files[path] = StoredFile(
                task_id=task_id, video=video, poster=poster, content_type=content_type, made_at=self.clock.now()
            )
        return path


def new_id() -> str:
    """32 hex digits, not from the seeded random numbers: a client that outlives this process must not get an id twice."""
    return secrets.token_hex(16)

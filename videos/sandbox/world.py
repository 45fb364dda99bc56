"""The provider's side of the story: tasks, money, the rate window, files. One lock guards all of it."""

import random
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from videos.sandbox.clock import Clock
from videos.sandbox.prices import Prices
from videos.sandbox.truth import Truth
from videos.sandbox.video_spec import VideoSpec

GENERATING, SUCCESS, FAILED_EARLY, FAILED = 0, 1, 2, 3
RATE_LIMIT, RATE_WINDOW_S = 20, 10.0


@dataclass(slots=True, kw_only=True)
class Upgrade:
    """A 1080p or 4K version of a finished task; `task_id` is what the wire calls it."""

    ready_at: float
    task_id: str = ""
    callback_url: str = ""
    film_path: str = ""
    image_path: str = ""
    failed: bool = False

    @property
    def ready(self) -> bool:
        return bool(self.film_path)


@dataclass(slots=True, kw_only=True, eq=False)
class Task:
    """One job, from acceptance to its end; `flag` is kie.ai's successFlag.

    `accepted_at` and `ends_at` are sandbox time, by which things happen; `created_at` and `completed_at` are the
    real time of day, which is what the wire tells: a client lives in real time however fast our clock runs.
    """

    id: str
    kind: str  # generate, extend or upgrade-4k
    params: dict[str, Any]
    film: VideoSpec
    price: Decimal
    accepted_at: float
    ends_at: float
    created_at: float
    flag: int = GENERATING
    error_code: int | None = None
    error_message: str | None = None
    completed_at: float | None = None
    result_paths: list[str] = field(default_factory=list)
    full_paths: list[str] = field(default_factory=list)
    origin_paths: list[str] = field(default_factory=list)
    parent: "Task | None" = None
    hd: Upgrade | None = None
    uhd: Upgrade | None = None
    total_s: int = 0  # with all it extends

    @property
    def callback_url(self) -> str:
        return str(self.params.get("callBackUrl") or "")

    @property
    def prompt(self) -> str:
        return str(self.params.get("prompt") or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a path of the file host holds: a film to draw, its still, or an uploaded file."""

    task_id: str = ""
    film: VideoSpec | None = None
    still: bool = False
    upload: bytes = field(default=b"", repr=False)
    content_type: str = "video/mp4"
    made_at: float


class World:
    """Everything that a reset forgets. Hold `lock` around more than one look or one change."""

    def __init__(self, *, clock: Clock, truth: Truth, balance: Decimal, seed: int) -> None:
        self.clock = clock
        self.truth = truth
        self.lock = threading.RLock()
        self.dice = random.Random(seed)  # noqa: S311 - dice, not secrets
        self.prices = Prices()
        self.balance = balance
        self.tasks: dict[str, Task] = {}
        self.files: dict[str, Stored] = {}
        self.minted: set[str] = set()
        self.accepted = 0
        self.over = False
        self._window: deque[float] = deque()

    def within_rate(self) -> bool:
        """Take a place in the sliding window of 20 per 10 sandbox seconds; False when it is full."""
        with self.lock:
            now = self.clock.now()
            while self._window and self._window[0] <= now - RATE_WINDOW_S:
                self._window.popleft()
            if len(self._window) >= RATE_LIMIT:
                return False
            self._window.append(now)
            return True

    def move(self, delta: Decimal, *, why: str, task_id: str = "") -> bool:
        """Change the balance and log it; False, and nothing moved, when it would fall below 0."""
        with self.lock:
            if self.balance + delta < 0:
                return False
            self.balance += delta
            self.truth.append("balance", delta=str(delta), balance=str(self.balance), why=why, task_id=task_id)
            return True

    def set_balance(self, balance: Decimal, *, why: str) -> None:
        with self.lock:
            self.move(balance - self.balance, why=why)

    def task(self, task_id: str) -> Task | None:
        with self.lock:
            return self.tasks.get(task_id)

    def running(self) -> list[Task]:
        with self.lock:
            return [task for task in self.tasks.values() if task.flag == GENERATING]

    def other_task(self, task: Task) -> Task | None:
        """Any other task, the newest first: for answers about the wrong one."""
        with self.lock:
            return next((other for other in reversed(self.tasks.values()) if other is not task), None)

    def store(self, film: VideoSpec, *, task_id: str, folder: str = "v", still: bool = False) -> str:
        """Give a film (or its still) an address on the file host; the path, `/v/<32 hex>_<unix>.mp4`."""
        with self.lock:
            now = self.clock.now()
            path = f"/{folder}/{new_id()}_{int(time.time())}.{'jpg' if still else 'mp4'}"
            self.files[path] = Stored(
                task_id=task_id,
                film=film,
                still=still,
                content_type="image/jpeg" if still else "video/mp4",
                made_at=now,
            )
            return path


def new_id() -> str:
    """32 hex digits. Not from the seeded dice: a client's database outlives this process and must see no id twice."""
    return secrets.token_hex(16)

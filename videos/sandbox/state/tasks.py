"""A task at the provider, its upgrades, and the files on the file host."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from videos.sandbox.video_spec import VideoSpec

GENERATING, SUCCESS, FAILED_EARLY, FAILED = 0, 1, 2, 3


@dataclass(slots=True, kw_only=True)
class Upgrade:
    """A 1080p or 4K version of a finished task; `task_id` is its id in the API."""

    ready_at: float
    task_id: str = ""
    callback_url: str = ""
    video_path: str = ""
    image_path: str = ""
    failed: bool = False

    @property
    def ready(self) -> bool:
        return bool(self.video_path)

    @property
    def pending(self) -> bool:
        return not self.ready and not self.failed


@dataclass(slots=True, kw_only=True, eq=False)
class Task:
    """One accepted task; `flag` is kie.ai's successFlag.

    `accepted_at` and `ends_at` are sandbox time, which decides when the task ends. `created_at` and `completed_at` are
    real time, which the API reports, because clients use real time.
    """

    id: str
    kind: str  # generate, extend or upgrade-4k
    params: dict[str, Any]
    video: VideoSpec
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
    upgrade_1080p: Upgrade | None = None
    upgrade_4k: Upgrade | None = None
    total_s: int = 0  # its duration, including the videos that it extends

    @property
    def callback_url(self) -> str:
        return str(self.params.get("callBackUrl") or "")

    @property
    def prompt(self) -> str:
        return str(self.params.get("prompt") or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """What a path of the file host holds: a video to draw, its poster, or an uploaded file."""

    task_id: str = ""
    video: VideoSpec | None = None
    poster: bool = False
    upload: bytes = field(default=b"", repr=False)
    content_type: str = "video/mp4"
    made_at: float

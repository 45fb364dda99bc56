"""A video's progress in a terminal: one line redrawn where a person watches, a line per change where a file does."""

import shutil
from dataclasses import dataclass
from typing import Protocol

from django.utils import translation

from accounts.seams import clock
from videos.models import VideoTask
from videos.presentation import progress
from videos.presentation.tiles import describe_progress, get_display_state
from videos.templatetags.veo import clocked

BAR_CELLS = 24


class Output(Protocol):
    """What a terminal or a file can do; `BaseCommand.stdout` can."""

    @property
    def encoding(self) -> str | None: ...
    def write(self, msg: str = "", *, ending: str = "\n") -> object: ...
    def flush(self) -> None: ...
    def isatty(self) -> bool: ...


@dataclass(frozen=True)
class Snapshot:
    """How a task stands: the state's word, what is known in plain parts, and how far it probably is."""

    word: str
    parts: list[str]
    percent: int
    elapsed: str
    wait_code: str = ""

    @property
    def news(self) -> tuple[str, str]:
        """What makes it worth another line in a file: not the running seconds."""
        return self.word, self.parts[0] if self.parts else ""


def take_snapshot(task: VideoTask) -> Snapshot:
    """The task now, in English: commands speak one language."""
    with translation.override("en"):
        at = clock.now()
        elapsed = clocked((at - task.created_at).total_seconds())
        word = str(get_display_state(task).word)
        if task.is_final:
            return Snapshot(word, [], 100 if task.status == VideoTask.Status.READY else 0, elapsed)
        now = progress.measure_progress(task, at=at)
        return Snapshot(word, [str(part) for part in describe_progress(now)], now.percent, elapsed, now.wait_code)


class ProgressLine:
    """Shows moments. Call `end` before anything else is written."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._redraws = out.isatty()
        self._full, self._empty = ("█", "░") if "utf" in (out.encoding or "").lower() else ("#", "-")
        self._news: tuple[str, str] | None = None
        self._drawn = False

    def show(self, moment: Snapshot) -> None:
        """Draw the line anew, or write one if something changed."""
        text = " · ".join([moment.word, *moment.parts])
        if self._redraws:
            filled = BAR_CELLS * moment.percent // 100
            bar = self._full * filled + self._empty * (BAR_CELLS - filled)
            line = f"{bar} {moment.percent:3d} % {moment.elapsed:>5}  {text}"
            # One cell less than there is: a full last column would wrap in some terminals.
            self._out.write("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1], ending="")
            self._out.flush()
            self._drawn = True
        elif moment.news != self._news:
            self._out.write(f"{moment.elapsed:>5} {moment.percent:3d} %  {text}")
            self._out.flush()
        self._news = moment.news

    def end(self) -> None:
        """Leave the drawn line and go to the next."""
        if self._drawn:
            self._out.write()
            self._drawn = False

"""Shows a video's progress: in a terminal as one line that is redrawn, in a file as one line for each change."""

import shutil
from dataclasses import dataclass
from typing import Protocol

from django.utils import translation

from accounts.seams import clock
from videos.models import VideoTask
from videos.presentation import progress
from videos.presentation.tiles import describe_progress, get_display_state
from videos.templatetags.veo import player_time

BAR_CELLS = 24


class Output(Protocol):
    """The part of `BaseCommand.stdout` that is used here."""

    @property
    def encoding(self) -> str | None: ...
    def write(self, msg: str = "", *, ending: str = "\n") -> object: ...
    def flush(self) -> None: ...
    def isatty(self) -> bool: ...


@dataclass(frozen=True)
class Snapshot:
    """A task's state and progress at one moment, as text."""

    label: str
    parts: list[str]
    percent: int
    elapsed: str
    wait_code: str = ""

    @property
    def change_key(self) -> tuple[str, str]:
        """What must change before a new line is written to a file; it does not include the elapsed seconds."""
        return self.label, self.parts[0] if self.parts else ""


def take_snapshot(task: VideoTask) -> Snapshot:
    """The task's state and progress now, in English like all output of commands."""
    with translation.override("en"):
        at = clock.now()
        elapsed = player_time((at - task.created_at).total_seconds())
        label = str(get_display_state(task).label)
        if task.is_final:
            return Snapshot(label, [], 100 if task.status == VideoTask.Status.READY else 0, elapsed)
        current = progress.measure_progress(task, at=at)
        return Snapshot(
            label, [str(part) for part in describe_progress(current)], current.percent, elapsed, current.wait_code
        )


class ProgressLine:
    """Shows snapshots. Call `finish` before anything else is written."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._can_redraw = out.isatty()
        self._full, self._empty = ("█", "░") if "utf" in (out.encoding or "").lower() else ("#", "-")
        self._change_key: tuple[str, str] | None = None
        self._is_drawn = False

    def show(self, snapshot: Snapshot) -> None:
        """Redraw the line in a terminal; in a file, add a line if something changed."""
        text = " · ".join([snapshot.label, *snapshot.parts])
        if self._can_redraw:
            filled = BAR_CELLS * snapshot.percent // 100
            bar = self._full * filled + self._empty * (BAR_CELLS - filled)
            line = f"{bar} {snapshot.percent:3d} % {snapshot.elapsed:>5}  {text}"
            # One column is left free, because some terminals wrap a line that fills the last column.
            self._out.write("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1], ending="")
            self._out.flush()
            self._is_drawn = True
        elif snapshot.change_key != self._change_key:
            self._out.write(f"{snapshot.elapsed:>5} {snapshot.percent:3d} %  {text}")
            self._out.flush()
        self._change_key = snapshot.change_key

    def finish(self) -> None:
        """End the drawn line."""
        if self._is_drawn:
            self._out.write()
            self._is_drawn = False

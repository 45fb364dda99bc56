"""What users see of a video in tiles, lists and on its page: state, status line, price, URLs.

A tile is the small box with picture and state that stands for a video on the studio and gallery pages.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.contrib.humanize.templatetags.humanize import naturaltime
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from billing.common.formatting import format_moment
from videos.models import VideoFile, VideoTask
from videos.ordering import catalogue
from videos.ordering.input_modes import RESOLUTION_LABELS
from videos.presentation import progress, timeline
from videos.presentation.progress import Progress
from videos.presentation.timeline import Failure
from videos.templatetags.veo import approximate, player_time

Status = VideoTask.Status


@dataclass(frozen=True)
class DisplayState:
    """How a state is shown: its label, its tone (good, warn, bad, info or empty; it sets the colour) and its icon."""

    label: str | Promise
    tone: str
    icon: str


STATES: dict[str, DisplayState] = {
    Status.QUEUED: DisplayState(gettext_lazy("Waiting"), "info", "hourglass-split"),
    Status.SUBMITTING: DisplayState(gettext_lazy("Sending"), "info", "send"),
    Status.UNCONFIRMED: DisplayState(gettext_lazy("Unconfirmed"), "warn", "question-circle"),
    Status.GENERATING: DisplayState(gettext_lazy("Generating"), "info", "camera-reels"),
    Status.DOWNLOADING: DisplayState(gettext_lazy("Saving"), "info", "download"),
    Status.READY: DisplayState(gettext_lazy("Ready"), "good", "check-circle"),
    Status.FAILED: DisplayState(gettext_lazy("Failed"), "bad", "x-circle"),
    Status.CANCELLED: DisplayState(gettext_lazy("Cancelled"), "", "x-circle"),
}
_DELAYED = DisplayState(gettext_lazy("Delayed"), "warn", "clock-history")
_LATE = DisplayState(gettext_lazy("Arrived late"), "good", "gift")


@dataclass(frozen=True, kw_only=True)
class VideoSummary:
    """One video as tiles, lists and its own page show it. A URL is empty while there is no file behind it."""

    task: VideoTask
    state: DisplayState
    is_live: bool
    percent: int
    status_parts: list[str]
    file: VideoFile | None
    failure: Failure | None
    progress: Progress | None
    tags: list[str] = field(default_factory=list)

    @property
    def id(self) -> UUID:
        return self.task.pk

    @property
    def prompt(self) -> str:
        return self.task.prompt

    @property
    def url(self) -> str:
        return reverse("videos:video", args=[self.task.pk])

    @property
    def file_url(self) -> str:
        return reverse("videos:file", args=[self.task.pk]) if self.file else ""

    @property
    def poster_url(self) -> str:
        return reverse("videos:poster", args=[self.task.pk]) if self.file and self.file.poster_name else ""

    @property
    def retry_url(self) -> str:
        return f"{reverse('videos:studio')}?from={self.task.pk}"

    @property
    def retry_label(self) -> str:
        return _("Run again") if self.task.status == Status.CANCELLED else _("Edit and retry")

    @property
    def is_tall(self) -> bool:
        """Whether the video is higher than wide, according to the file or, before there is one, to the order."""
        if self.file and self.file.width and self.file.height:
            return self.file.height > self.file.width
        return self.task.aspect_ratio == "9:16"

    @property
    def label(self) -> str:
        """The state, with the percentage if there is one."""
        return f"{self.state.label} {self.percent}%" if self.percent else str(self.state.label)

    @property
    def may_cancel(self) -> bool:
        return self.task.status == Status.QUEUED

    @property
    def wait_reason(self) -> str:
        """What a queued video waits for, and until when; empty if it only waits for its turn."""
        current = self.progress
        return " · ".join(_describe_wait_reason(current)) if current and current.status == Status.QUEUED else ""

    @property
    def model(self) -> str:
        return catalogue.model_title(self.task.model).removeprefix("Veo 3.1 ")

    @property
    def price(self) -> str:
        if self.task.late_at is not None:
            return _("free")
        if self.task.status in (Status.FAILED, Status.CANCELLED):
            return _("refunded")
        credits = self.task.user_credits
        return ngettext("%(n)s credit", "%(n)s credits", credits) % {"n": formats.number_format(credits)}

    @property
    def shown_at(self) -> datetime:
        return self.task.finished_at or self.task.created_at

    @property
    def age(self) -> str:
        return str(naturaltime(self.shown_at))


def summarize_video(task: VideoTask, *, at: datetime) -> VideoSummary:
    """The task as its owner sees it at `at`. For a list of tasks, prefetch their `files`, which are read here."""
    stored = [file for file in task.files.all() if file.state == VideoFile.State.STORED]
    file = stored[0] if stored and task.is_delivered else None
    current = None if task.is_final else progress.measure_progress(task, at=at)
    return VideoSummary(
        task=task,
        state=get_display_state(task),
        is_live=not task.is_final,
        percent=_percent(task, current, file),
        status_parts=describe_progress(current) if current else [],
        file=file,
        failure=timeline.explain_failure(task),
        progress=current,
        tags=_tags(task, file),
    )


def get_display_state(task: VideoTask) -> DisplayState:
    """The state to show, including "delayed" and "arrived late", which are not statuses of the task."""
    if task.late_at is not None:
        return _LATE
    if task.status == Status.GENERATING and task.delayed_at is not None:
        return _DELAYED
    return STATES[task.status]


def describe_progress(current: Progress) -> list[str]:
    """What is happening and how long it typically takes, as parts of one status line."""
    if current.status == Status.QUEUED:
        return _describe_waiting(current)
    if current.status == Status.SUBMITTING:
        return [_("being sent to the provider")]
    if current.status == Status.UNCONFIRMED:
        refund_at = (
            formats.time_format(timezone.localtime(current.refund_at), "TIME_FORMAT") if current.refund_at else ""
        )
        return [
            _("sent, but the answer was lost"),
            _("we wait for the provider's callback; otherwise the credits are refunded at %(time)s")
            % {"time": refund_at},
        ]
    if current.status == Status.DOWNLOADING:
        return [_("generated, now being saved")]
    return [_describe_typical_time(current), _("%(time)s so far") % {"time": player_time(current.elapsed_s)}]


def _percent(task: VideoTask, current: Progress | None, file: VideoFile | None) -> int:
    """The percentage to show; 0 for an unconfirmed task, which may not have started at all."""
    if current is None:
        return 100 if file else 0
    return 0 if task.status == Status.UNCONFIRMED else current.percent


def _describe_wait_reason(current: Progress) -> list[str]:
    parts = [str(current.wait_reason)] if current.wait_reason else []
    if current.resumes_at is not None:
        parts.append(_("continues at %(time)s") % {"time": format_moment(current.resumes_at)})
    return parts


def _describe_waiting(current: Progress) -> list[str]:
    parts = _describe_wait_reason(current)
    if current.all_ahead == 0:
        # A video that waits for the user's own videos or for a budget does not start next.
        if current.wait_code != "own_slot" and current.resumes_at is None:
            parts.append(_("next in the queue"))
    elif current.own_ahead == 0:
        parts.append(
            ngettext("%(n)d video ahead of it", "%(n)d videos ahead of it", current.all_ahead)
            % {"n": current.all_ahead}
        )
    else:
        parts.append(
            ngettext(
                "%(n)d video ahead of it, %(own)d of them yours",
                "%(n)d videos ahead of it, %(own)d of them yours",
                current.all_ahead,
            )
            % {"n": current.all_ahead, "own": current.own_ahead}
        )
    if current.starts_in_s is not None and current.starts_in_s >= 5 and current.resumes_at is None:
        parts.append(_("starts in about %(time)s") % {"time": approximate(current.starts_in_s)})
    return parts


def _describe_typical_time(current: Progress) -> str:
    if current.is_delayed:
        return _("longer than usual; we keep checking")
    if current.typical.is_measured:
        return _("half are done in %(half)s, nine of ten in %(most)s") % {
            "half": approximate(current.typical.p50_s),
            "most": approximate(current.typical.p90_s),
        }
    return _("usually about %(half)s") % {"half": approximate(current.typical.p50_s)}


def _tags(task: VideoTask, file: VideoFile | None) -> list[str]:
    length = file.duration_s if file and file.duration_s else task.duration_s
    tags = [player_time(length)]
    if task.resolution != "720p":
        tags.append(RESOLUTION_LABELS.get(task.resolution, task.resolution))
    return tags

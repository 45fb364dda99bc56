"""A task's receipt, a list of sentences: what happened when, which credits moved, and why the task failed."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from billing.guard import wait_reasons
from videos.models import TaskEvent, VideoTask
from videos.providers.base import RefusalReason

Event = TaskEvent.Kind


@dataclass(frozen=True, kw_only=True)
class Step:
    """One line of the receipt. `user_credits` is the signed change of the user's balance.

    `detail` is the provider's task ID or a quotation of the provider's message.
    """

    at: datetime
    sentence: str
    tone: str = ""  # good, warn, bad or empty
    detail: str = ""
    user_credits: int | None = None


@dataclass(frozen=True)
class Failure:
    """Why there is no video, and what the user can do now."""

    title: str | Promise
    reason: str | Promise
    next_step: str | Promise


_REFUSED = gettext_lazy("Refused by the provider")
_NOT_MADE = gettext_lazy("Could not be made")

# The explanation of each failure code: first the provider's reasons for a refusal, then our own codes.
FAILURES: dict[str, Failure] = {
    RefusalReason.CONTENT_POLICY: Failure(
        _REFUSED,
        gettext_lazy("The prompt contains something that the provider's rules do not allow."),
        gettext_lazy("Rephrase the prompt: leave out violence, nudity, brands and anything about real people."),
    ),
    RefusalReason.UNSAFE_IMAGE: Failure(
        _REFUSED,
        gettext_lazy("The provider's rules do not allow one of the images."),
        gettext_lazy("Choose another image. Photos of children and of known people are often refused."),
    ),
    RefusalReason.PROMINENT_PERSON: Failure(
        _REFUSED,
        gettext_lazy("The prompt or an image contains a real person's name or face."),
        gettext_lazy("Describe the person instead of naming them, or choose an image without a known face."),
    ),
    RefusalReason.LANGUAGE: Failure(
        _REFUSED,
        gettext_lazy("The model accepts English prompts only."),
        gettext_lazy("Switch the translation on, or write the prompt in English."),
    ),
    RefusalReason.IMAGE_UNREACHABLE: Failure(
        _NOT_MADE,
        gettext_lazy("The provider could not fetch one of your images."),
        gettext_lazy("Try again; if it happens twice, upload the image again."),
    ),
    RefusalReason.AUDIO: Failure(
        _NOT_MADE,
        gettext_lazy("The model could not generate the sound."),
        gettext_lazy("Change the sound you describe, or leave out spoken words, and try again."),
    ),
    RefusalReason.INVALID: Failure(
        _REFUSED,
        gettext_lazy("The provider did not accept one of the settings."),
        gettext_lazy("Try another resolution, length or model."),
    ),
    RefusalReason.TIMED_OUT: Failure(
        _NOT_MADE,
        gettext_lazy("The model behind the provider did not answer in time."),
        gettext_lazy("Nothing is wrong with your prompt: try again."),
    ),
    RefusalReason.GENERATION: Failure(
        _NOT_MADE,
        gettext_lazy("The model failed and did not say why."),
        gettext_lazy("Try again. If it fails twice, change the prompt: names of real people are a frequent cause."),
    ),
    "unconfirmed": Failure(
        gettext_lazy("Never confirmed"),
        gettext_lazy("The provider's answer was lost, and no callback came within an hour."),
        gettext_lazy("Try again. If the first one still arrives, you get it free."),
    ),
    "deadline": Failure(
        gettext_lazy("Took too long"),
        gettext_lazy("The provider gave no result within our time limit."),
        gettext_lazy("Try again. If the first one still arrives, you get it free."),
    ),
    "no_file": Failure(
        gettext_lazy("No file received"),
        gettext_lazy("The provider said it was done, but there was no video that could be fetched and played."),
        gettext_lazy("Try again. If it still arrives, you get it free."),
    ),
    "operator": Failure(
        gettext_lazy("Ended by the operator"),
        gettext_lazy("The operator looked into it and ended it."),
        gettext_lazy("Try again, or ask the operator why."),
    ),
    "waited_too_long": Failure(
        gettext_lazy("Waited too long"),
        gettext_lazy("It could not be started within a day, so it was cancelled."),
        gettext_lazy("Try again when you like."),
    ),
}
_UNKNOWN = Failure(_NOT_MADE, gettext_lazy("It failed for an unknown reason."), gettext_lazy("Try again."))
_CANCELLED = Failure(
    gettext_lazy("Cancelled"),
    gettext_lazy("Cancelled before it was sent."),
    gettext_lazy("Run it again when you like."),
)


def explain_failure(task: VideoTask) -> Failure | None:
    """Why a failed or cancelled task has no video; None for any other task and for one delivered late."""
    if task.late_at is not None or task.status not in (task.Status.FAILED, task.Status.CANCELLED):
        return None
    if task.status == task.Status.CANCELLED:
        return FAILURES.get(task.failure_code, _CANCELLED)
    return FAILURES.get(task.failure_code, _UNKNOWN)


def list_steps(task: VideoTask) -> list[Step]:
    """The lines of the receipt, oldest first, without operators' notes."""
    return [
        Step(
            at=event.at,
            sentence=DESCRIPTIONS[event.kind](event),
            tone=TONES.get(event.kind, ""),
            detail=_detail(event, task),
            user_credits=event.user_credits,
        )
        for event in task.events.all()
        if event.kind in DESCRIPTIONS
    ]


TONES: dict[str, str] = {
    Event.ADOPTED: "good",
    Event.READY: "good",
    Event.LATE_RESULT: "good",
    Event.REFUNDED: "good",
    Event.REQUEUED: "warn",
    Event.UNCONFIRMED: "warn",
    Event.DELAYED: "warn",
    Event.REFUSED: "bad",
    Event.FAILED: "bad",
}


def _charged(event: TaskEvent) -> str:
    amount = -(event.user_credits or 0)
    return ngettext("Ordered; %(n)d credit charged.", "Ordered; %(n)d credits charged.", amount) % {"n": amount}


def _refunded(event: TaskEvent) -> str:
    amount = event.user_credits or 0
    return ngettext("%(n)d credit refunded.", "%(n)d credits refunded.", amount) % {"n": amount}


def _waiting(event: TaskEvent) -> str:
    return _("Waiting: %(reason)s.") % {"reason": wait_reasons.OWNER_TEXTS.get(event.code, _("its turn"))}


def _requeued(event: TaskEvent) -> str:
    reason = wait_reasons.OWNER_TEXTS.get(event.code)
    if reason is None:
        return _("The provider has not accepted it yet. It is back in the queue.")
    return _("The provider has not accepted it yet: %(reason)s.") % {"reason": reason}


def _done(event: TaskEvent) -> str:
    if event.code == "callback":
        return _("The provider's callback reported that the video is finished.")
    return _("We asked the provider: the video is finished.")


def _ended(event: TaskEvent) -> str:
    failure = FAILURES.get(event.code, _UNKNOWN)
    return _("%(what)s. %(why)s") % {"what": failure.title, "why": failure.reason}


def _cancelled(event: TaskEvent) -> str:
    if event.code in FAILURES:
        return str(FAILURES[event.code].reason)
    return _("Cancelled before it was sent.")


DESCRIPTIONS: dict[str, Callable[[TaskEvent], str]] = {
    Event.CHARGED: _charged,
    Event.WAITING: _waiting,
    Event.CLAIMED: lambda event: _("Sent to the provider."),
    Event.REQUEUED: _requeued,
    Event.ACCEPTED: lambda event: _("The provider accepted it and is generating it."),
    Event.UNCONFIRMED: lambda event: _(
        "Sent, but the answer was lost. It is never sent twice; we wait for the provider's callback."
    ),
    Event.ADOPTED: lambda event: _("The provider's callback confirmed this video."),
    Event.DELAYED: lambda event: _("It is taking longer than usual. We keep checking."),
    Event.PROVIDER_DONE: _done,
    Event.STORED: lambda event: _("Saved and checked: it plays."),
    Event.READY: lambda event: _("Ready."),
    Event.REFUSED: _ended,
    Event.FAILED: _ended,
    Event.CANCELLED: _cancelled,
    Event.REFUNDED: _refunded,
    Event.LATE_RESULT: lambda event: _("It arrived late and is yours for free."),
    Event.DELETED: lambda event: _("Deleted by you."),
}


# Users do not need the HTTP status and code before the provider's message.
_HTTP_PREFIX = re.compile(r"^HTTP \d+(, code [^:]*)?(: |$)")


def _detail(event: TaskEvent, task: VideoTask) -> str:
    """The provider's task ID for an accepted task, or the provider's message for a refused one."""
    if event.kind in (Event.ACCEPTED, Event.ADOPTED) and task.provider_task_id:
        return _("Provider task ID: %(number)s") % {"number": task.provider_task_id}
    message = _HTTP_PREFIX.sub("", event.detail)
    if event.kind in (Event.REFUSED, Event.FAILED) and event.code in set(RefusalReason) and message:
        return _("The provider's message: “%(words)s”") % {"words": message}
    return ""

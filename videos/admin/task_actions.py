"""The operators' actions with their texts: label, confirmation, consequence for the money, and result.

`videos.actions.operator` performs them. A `Spend` row holds what a video was estimated to cost us and what it did cost.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import User
from billing.common.formatting import format_amount, join_sentences
from billing.models import Spend
from videos.actions import operator as operator_actions
from videos.lifecycle import status_changes as lifecycle
from videos.models import VideoTask
from videos.presentation.tiles import STATES

Status = VideoTask.Status


@dataclass(frozen=True, kw_only=True)
class TaskAction:
    """One action. `question` asks for confirmation, and `consequence` says what the action means for the money.

    `perform` takes the task, the status that the operator saw, and the operator; it returns a sentence.
    """

    name: str
    label: Promise
    question: Promise
    is_possible: Callable[[VideoTask], bool]
    consequence: Callable[[VideoTask, Spend | None], str]
    perform: Callable[[VideoTask, str, User], str]
    moves_money: bool = False  # whether the action refunds credits; its button is then red


def perform_action(action: TaskAction, task: VideoTask, *, seen_status: str, actor: User) -> tuple[bool, str]:
    """Perform an action; returns whether it was done, and a sentence for the operator."""
    try:
        return True, action.perform(task, seen_status, actor)
    except operator_actions.TaskBusy:
        return False, _("A worker is handling it right now; nothing was changed. Try again in two minutes.")
    except operator_actions.CallbackPending:
        return False, _("The provider has called about it: choose “Check now” first. Nothing was changed.")
    except lifecycle.NotPossible as refusal:
        if refusal.status == seen_status:
            return False, _("Nothing can be done in its current state; nothing was changed.")
        state_label = STATES[refusal.status].label
        return False, _("Its state is now “%(state)s”; nothing was changed.") % {"state": state_label}


def _format_credits(task: VideoTask) -> str:
    return ngettext("%(n)d credit", "%(n)d credits", task.user_credits) % {"n": task.user_credits}


def _format_provider_credits(spend: Spend | None) -> str:
    if spend is None:
        return _("an unknown amount")
    return _("%(n)s provider credits") % {"n": format_amount(spend.estimated if spend.actual is None else spend.actual)}


def _check_consequence(task: VideoTask, spend: Spend | None) -> str:
    if task.status == Status.QUEUED:
        return _(
            "This costs nothing by itself. If it is its turn and nothing blocks it, it is sent and paid for as ordered."
        )
    return _("This costs nothing: asking the provider for the state is free.")


def _retry_consequence(task: VideoTask, spend: Spend | None) -> str:
    if task.status == Status.FAILED:
        return _(
            "This costs nothing: downloading is free. The order was refunded; if the video arrives, its owner gets it free."
        )
    return _("This costs nothing: downloading is free, and the price stays the same.")


def _cancel_consequence(task: VideoTask, spend: Spend | None) -> str:
    refund_sentence = _("%(credits)s will be refunded to %(person)s.") % {
        "credits": _format_credits(task),
        "person": task.user.email,
    }
    cost_sentences = {
        Status.QUEUED: _("Nothing was sent, so it costs us nothing."),
        Status.UNCONFIRMED: _(
            "It was sent but the answer was lost: the provider may have charged %(amount)s. This is recorded as a possible "
            "cost and raises an alert. If the video still arrives, its owner gets it free."
        ),
        Status.GENERATING: _(
            "The provider is generating it and may charge %(amount)s. This is recorded as a possible cost and raises an "
            "alert. If the video still arrives, its owner gets it free."
        ),
        Status.DOWNLOADING: _(
            "The provider has generated it and charged %(amount)s, which is not refunded to us. We keep trying to download "
            "the video; if it arrives, its owner gets it free."
        ),
    }
    consequence = cost_sentences.get(Status(task.status), "")
    return join_sentences([refund_sentence, consequence % {"amount": _format_provider_credits(spend)}])


def _perform_check(task: VideoTask, seen_status: str, actor: User) -> str:
    operator_actions.check_now(task_id=task.pk, seen_status=seen_status, actor=actor)
    return _("It is being checked now.")


def _perform_retry(task: VideoTask, seen_status: str, actor: User) -> str:
    count = operator_actions.retry_download(task_id=task.pk, seen_status=seen_status, actor=actor)
    return ngettext("%(n)d file is being downloaded.", "%(n)d files are being downloaded.", count) % {"n": count}


def _perform_cancel(task: VideoTask, seen_status: str, actor: User) -> str:
    operator_actions.cancel(task_id=task.pk, seen_status=seen_status, actor=actor)
    return _("Cancelled; %(credits)s refunded to %(person)s.") % {
        "credits": _format_credits(task),
        "person": task.user.email,
    }


def _perform_mark_lost(task: VideoTask, seen_status: str, actor: User) -> str:
    operator_actions.mark_lost(task_id=task.pk, actor=actor)
    return _("Marked as lost; %(credits)s refunded to %(person)s.") % {
        "credits": _format_credits(task),
        "person": task.user.email,
    }


TASK_ACTIONS: dict[str, TaskAction] = {
    action.name: action
    for action in (
        TaskAction(
            name="check_now",
            label=gettext_lazy("Check now"),
            question=gettext_lazy("Check now?"),
            is_possible=operator_actions.can_check,
            consequence=_check_consequence,
            perform=_perform_check,
        ),
        TaskAction(
            name="retry_download",
            label=gettext_lazy("Retry download"),
            question=gettext_lazy("Retry the download?"),
            is_possible=operator_actions.can_retry_download,
            consequence=_retry_consequence,
            perform=_perform_retry,
        ),
        TaskAction(
            name="cancel_with_refund",
            label=gettext_lazy("Cancel with refund"),
            question=gettext_lazy("Cancel and refund the credits?"),
            is_possible=lambda task: task.status in operator_actions.CANCELLABLE,
            consequence=_cancel_consequence,
            perform=_perform_cancel,
            moves_money=True,
        ),
        TaskAction(
            name="mark_lost",
            label=gettext_lazy("Mark unconfirmed as lost"),
            question=gettext_lazy("Give up waiting and refund the credits?"),
            is_possible=lambda task: task.status == Status.UNCONFIRMED,
            consequence=_cancel_consequence,
            perform=_perform_mark_lost,
            moves_money=True,
        ),
    )
}


def list_possible(task: VideoTask) -> list[TaskAction]:
    """The actions that are possible for the task now."""
    return [action for action in TASK_ACTIONS.values() if action.is_possible(task)]


def describe_consequences(
    action: TaskAction, tasks: list[VideoTask], spends: dict[UUID, Spend]
) -> list[dict[str, Any]]:
    """The rows of the confirmation page: a task, whether the action is possible, and its consequence for the money."""
    return [
        {
            "task": task,
            "is_possible": action.is_possible(task),
            "consequence": action.consequence(task, spends.get(task.pk)),
        }
        for task in tasks
    ]

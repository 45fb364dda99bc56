"""The operators' acts with their words: when each is offered, what it will do to the money, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import User
from billing.models import Spend
from videos.actions import operator as operator_actions
from videos.lifecycle import acts as lifecycle
from videos.lifecycle.costs import amount
from videos.models import VideoTask
from videos.presentation.tiles import STATES

Status = VideoTask.Status


@dataclass(frozen=True, kw_only=True)
class TaskAction:
    """One act. `perform` takes the task, the state its operator saw and the operator, and returns what was done, in words."""

    name: str
    label: Promise
    question: Promise
    offered: Callable[[VideoTask], bool]
    consequence: Callable[[VideoTask, Spend | None], str]
    perform: Callable[[VideoTask, str, User], str]
    moves_money: bool = False


def perform_action(act: TaskAction, task: VideoTask, *, seen: str, actor: User) -> tuple[bool, str]:
    """Perform an act; whether it was done, and what to tell its operator."""
    try:
        return True, act.perform(task, seen, actor)
    except operator_actions.TaskBusy:
        return False, _("A worker holds it at this moment; nothing was changed. Try again in two minutes.")
    except operator_actions.CallbackPending:
        return False, _("The provider has called about it: choose “Look now” first. Nothing was changed.")
    except lifecycle.NotPossible as refusal:
        if refusal.status == seen:
            return False, _("There is nothing to do for it as it stands; nothing was changed.")
        word = STATES[refusal.status].word
        return False, _("Meanwhile it became “%(state)s”; nothing was changed.") % {"state": word}


def _format_credits(task: VideoTask) -> str:
    return ngettext("%(n)d credit", "%(n)d credits", task.user_credits) % {"n": task.user_credits}


def _format_provider_credits(spend: Spend | None) -> str:
    if spend is None:
        return _("an unknown amount")
    return _("%(n)s provider credits") % {"n": amount(spend.estimated if spend.actual is None else spend.actual)}


def _check_consequence(task: VideoTask, spend: Spend | None) -> str:
    if task.status == Status.QUEUED:
        return _("No money moves by this. If it is its turn and nothing holds it, it is sent and paid for as ordered.")
    return _("No money moves: the provider is asked how it stands, and asking is free.")


def _retry_consequence(task: VideoTask, spend: Spend | None) -> str:
    if task.status == Status.FAILED:
        return _("No money moves: fetching is free. It was refunded; if the film comes, its owner gets it free.")
    return _("No money moves: fetching is free, and the price stands.")


def _cancel_consequence(task: VideoTask, spend: Spend | None) -> str:
    back = _("%(credits)s go back to %(person)s.") % {"credits": _format_credits(task), "person": task.user.email}
    after = {
        Status.QUEUED: _("Nothing was sent, so it costs us nothing."),
        Status.UNCONFIRMED: _(
            "It was sent and the answer lost: the provider may have charged %(amount)s. That is booked as possible and "
            "raises an alert. If the film still comes, its owner gets it free."
        ),
        Status.GENERATING: _(
            "The provider is making it and may charge %(amount)s. That is booked as possible and raises an alert. If the "
            "film still comes, its owner gets it free."
        ),
        Status.DOWNLOADING: _(
            "The provider made it and charged %(amount)s; we do not get that back. We go on fetching the film; if it "
            "comes, its owner gets it free."
        ),
    }
    words = after.get(Status(task.status), "")
    # In a sentence of its own for languages that put no space after a full stop.
    return _("%(back)s %(after)s") % {"back": back, "after": words % {"amount": _format_provider_credits(spend)}}


def _perform_check(task: VideoTask, seen: str, actor: User) -> str:
    operator_actions.check_now(task_id=task.pk, seen=seen, actor=actor)
    return _("It is looked at now.")


def _perform_retry(task: VideoTask, seen: str, actor: User) -> str:
    count = operator_actions.retry_download(task_id=task.pk, seen=seen, actor=actor)
    return ngettext("%(n)d file is fetched now.", "%(n)d files are fetched now.", count) % {"n": count}


def _perform_cancel(task: VideoTask, seen: str, actor: User) -> str:
    operator_actions.cancel(task_id=task.pk, seen=seen, actor=actor)
    return _("Ended; %(credits)s went back to %(person)s.") % {
        "credits": _format_credits(task),
        "person": task.user.email,
    }


def _perform_mark_lost(task: VideoTask, seen: str, actor: User) -> str:
    operator_actions.mark_lost(task_id=task.pk, actor=actor)
    return _("Called lost; %(credits)s went back to %(person)s.") % {
        "credits": _format_credits(task),
        "person": task.user.email,
    }


TASK_ACTIONS: dict[str, TaskAction] = {
    act.name: act
    for act in (
        TaskAction(
            name="look_now",
            label=gettext_lazy("Look now"),
            question=gettext_lazy("Look now?"),
            offered=operator_actions.can_check,
            consequence=_check_consequence,
            perform=_perform_check,
        ),
        TaskAction(
            name="retry_download",
            label=gettext_lazy("Retry download"),
            question=gettext_lazy("Retry the download?"),
            offered=operator_actions.can_retry_download,
            consequence=_retry_consequence,
            perform=_perform_retry,
        ),
        TaskAction(
            name="cancel_with_refund",
            label=gettext_lazy("Cancel with refund"),
            question=gettext_lazy("Cancel and give the credits back?"),
            offered=lambda task: task.status in operator_actions.CANCELLABLE,
            consequence=_cancel_consequence,
            perform=_perform_cancel,
            moves_money=True,
        ),
        TaskAction(
            name="mark_lost",
            label=gettext_lazy("Mark unconfirmed as lost"),
            question=gettext_lazy("Give up waiting and give the credits back?"),
            offered=lambda task: task.status == Status.UNCONFIRMED,
            consequence=_cancel_consequence,
            perform=_perform_mark_lost,
            moves_money=True,
        ),
    )
}


def list_offered(task: VideoTask) -> list[TaskAction]:
    """The acts that make sense for the task as it stands."""
    return [act for act in TASK_ACTIONS.values() if act.offered(task)]


def describe_consequences(act: TaskAction, tasks: list[VideoTask], spends: dict[UUID, Spend]) -> list[dict[str, Any]]:
    """For the page that asks: each task, whether the act fits it, and what will happen to the money."""
    return [
        {
            "task": task,
            "fits": act.offered(task),
            "consequence": act.consequence(task, spends.get(task.pk)),
        }
        for task in tasks
    ]

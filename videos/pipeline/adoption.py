"""Finds the provider's id of an unconfirmed task (one whose submission got no response).

A callback to the task's secret URL names an id; the provider's status endpoint must then show the same prompt for it.
The task is then *adopted*: it takes that id and continues as generating.
"""

import logging
from datetime import timedelta

from accounts.seams import clock
from billing.models import Alert
from videos.lifecycle import alerts as task_alerts
from videos.lifecycle import status_changes as lifecycle
from videos.models import CallbackReceipt, VideoTask
from videos.providers import errors
from videos.providers.base import Provider, Report

log = logging.getLogger(__name__)

Verdict = CallbackReceipt.Verdict
# By how much the creation time that the provider reports may differ from the time at which we sent the task: clocks
# differ and requests may be delayed.
MAX_TIME_DIFFERENCE = timedelta(minutes=15)
# As many as `callbacks.MAX_PER_TASK` stores for one task.
MAX_RECEIPTS = 20


def pending_receipts(task: VideoTask) -> list[CallbackReceipt]:
    """Callbacks to this task that name a provider id and have not been checked, oldest first."""
    return list(
        task.callbacks.filter(verdict=Verdict.PENDING).exclude(provider_task_id="").order_by("id")[:MAX_RECEIPTS]
    )


def adopt(*, task: VideoTask, client: Provider) -> bool:
    """Try each id that a callback names; returns whether the task was adopted. Raises ProviderError."""
    not_visible_yet: errors.NotVisible | None = None
    for receipt in pending_receipts(task):
        try:
            report = client.report(receipt.provider_task_id)
        except errors.NotVisible as not_visible:
            if clock.now() - receipt.received_at < timedelta(minutes=10):
                # The callback may be forged, or the provider may not show the task yet: try the other callbacks first.
                not_visible_yet = not_visible
                continue
            _reject(receipt, task, f"the provider does not know it: {not_visible.detail}")
            continue
        if problem := _find_mismatch(task, receipt.provider_task_id, report):
            _reject(receipt, task, problem)
            continue
        if lifecycle.adopt(task_id=task.pk, provider_task_id=receipt.provider_task_id):
            CallbackReceipt.objects.filter(pk=receipt.pk).update(verdict=Verdict.USED)
            return True
        _reject(receipt, task, "the task cannot be adopted in its state")
    if not_visible_yet is not None:
        raise not_visible_yet
    return False


def _find_mismatch(task: VideoTask, provider_task_id: str, report: Report) -> str:
    if VideoTask.objects.filter(provider_task_id=provider_task_id).exclude(pk=task.pk).exists():
        return "the id belongs to another order"
    if report.prompt is None or report.prompt.strip() != task.prompt.strip():
        return "its prompt is not ours"
    if (
        report.created_at is not None
        and task.submitted_at is not None
        and abs(report.created_at - task.submitted_at) > MAX_TIME_DIFFERENCE
    ):
        return "it was created at another time"
    return ""


def _reject(receipt: CallbackReceipt, task: VideoTask, problem: str) -> None:
    CallbackReceipt.objects.filter(pk=receipt.pk).update(verdict=Verdict.REJECTED, problem=problem[:200])
    facts = {"say": ["odd_callback"], "words": problem}
    task_alerts.raise_alert(task, Alert.Kind.ODD_ANSWER, cause=f"callback of {task.reference}", facts=facts)

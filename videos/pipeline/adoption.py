"""Finding a lost task again: a callback on its secret address names a provider id; record-info must prove that it is ours."""

import logging
from datetime import timedelta

from accounts.seams import clock
from billing.models import Alert
from videos.lifecycle import acts as lifecycle
from videos.lifecycle import alerts as task_alerts
from videos.models import CallbackReceipt, VideoTask
from videos.providers import errors
from videos.providers.base import Provider, Report

log = logging.getLogger(__name__)

Verdict = CallbackReceipt.Verdict
# How far the provider's creation time may be from our sending: clocks differ, queues delay.
NEAR = timedelta(minutes=15)
# As many as the inbox keeps of one task.
MOST_NAMES = 20


def pending_names(task: VideoTask) -> list[CallbackReceipt]:
    """Callbacks that name a provider id for this task and were not looked at yet, oldest first."""
    return list(task.callbacks.filter(verdict=Verdict.PENDING).exclude(provider_task_id="").order_by("id")[:MOST_NAMES])


def adopt(*, task: VideoTask, client: Provider) -> bool:
    """Try what the callbacks name; True once the task has its provider id. Raises NoAnswer while the provider is silent."""
    still_unseen: errors.NotVisible | None = None
    for receipt in pending_names(task):
        try:
            report = client.report(receipt.provider_task_id)
        except errors.NotVisible as unseen:
            if clock.now() - receipt.received_at < timedelta(minutes=10):
                # Perhaps too early, perhaps forged: it must not stand before the others.
                still_unseen = unseen
                continue
            _reject(receipt, task, f"the provider does not know it: {unseen.detail}")
            continue
        if problem := _not_ours(task, receipt.provider_task_id, report):
            _reject(receipt, task, problem)
            continue
        if lifecycle.adopted(task_id=task.pk, provider_task_id=receipt.provider_task_id):
            CallbackReceipt.objects.filter(pk=receipt.pk).update(verdict=Verdict.USED)
            return True
        _reject(receipt, task, "the task could not take it")
    if still_unseen is not None:
        raise still_unseen
    return False


def _not_ours(task: VideoTask, provider_task_id: str, report: Report) -> str:
    if VideoTask.objects.filter(provider_task_id=provider_task_id).exclude(pk=task.pk).exists():
        return "another task has it"
    if report.prompt is None or report.prompt.strip() != task.prompt.strip():
        return "its prompt is not ours"
    if (
        report.created_at is not None
        and task.submitted_at is not None
        and abs(report.created_at - task.submitted_at) > NEAR
    ):
        return "it was created at another time"
    return ""


def _reject(receipt: CallbackReceipt, task: VideoTask, problem: str) -> None:
    CallbackReceipt.objects.filter(pk=receipt.pk).update(verdict=Verdict.REJECTED, problem=problem[:200])
    facts = {"say": ["odd_callback"], "words": problem}
    task_alerts.tell(task, Alert.Kind.ODD_ANSWER, cause=f"callback of {task.reference}", facts=facts)

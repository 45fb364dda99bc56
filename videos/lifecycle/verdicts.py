"""Status changes caused by the provider's verdict (success or failure) and by stored files.

Only this module moves a task to downloading or ready, or to failed because of the provider's verdict. It makes no
network calls.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from accounts.seams import clock
from billing.alerts import grouping as alert_grouping
from billing.costs import spend
from billing.models import Alert
from videos.lifecycle import alerts as task_alerts
from videos.lifecycle import metrics as task_metrics
from videos.lifecycle.transitions import end_with_refund, move, record_event, reference_of
from videos.models import TaskEvent, VideoFile, VideoTask
from videos.providers.base import Report

Status = VideoTask.Status
Event = TaskEvent.Kind

ZERO = Decimal(0)


def record_success(*, task_id: UUID, report: Report, source: str) -> bool:
    """generating -> downloading: the provider reported success and the URLs of the files.

    A task refunded meanwhile stays failed, but its files are downloaded too, without a new charge. Returns whether
    either happened.
    """
    at = clock.database_now()
    with transaction.atomic():
        verdict: dict[str, Any] = {"provider_done_at": at, "settled_by": source}
        moved = move(
            task_id,
            from_=(Status.GENERATING,),
            to=Status.DOWNLOADING,
            event=Event.PROVIDER_DONE,
            code=source,
            trouble_since=None,
            due_at=at,
            **verdict,
        )
        if not moved and not _lock_late_task(task_id):
            return False
        _create_files(task_id, report.result_urls)
        actual, basis = spend.get_known_cost(job_id=task_id, reported=report.provider_credits)
        if moved:
            spend.settle(job_id=task_id, actual=actual, basis=basis)
        else:
            spend.correct(job_id=task_id, actual=actual, basis=basis)
            task_metrics.record_late_verdict(task_id, **verdict)
        return True


def record_failure(*, task_id: UUID, report: Report, source: str) -> bool:
    """generating -> failed: the provider reported a failure. Refunds the user; returns whether the status changed.

    What the failed task cost us is recorded as the provider reported it; without such a report it is assumed to be the
    list price or nothing, depending on the setting CHARGED_WHEN_FAILED.
    """
    reason = str(report.reason or "generation")
    with transaction.atomic():
        moved = end_with_refund(
            task_id,
            from_=(Status.GENERATING,),
            to=Status.FAILED,
            event=Event.FAILED,
            code=reason,
            detail=report.error_message,
            settled_by=source,
            provider_done_at=None,
        )
        if moved:
            if report.provider_credits is not None:
                spend.settle(job_id=task_id, actual=report.provider_credits, basis=spend.Basis.REPORTED)
            elif settings.CHARGED_WHEN_FAILED:
                actual, _ = spend.get_known_cost(job_id=task_id, reported=None)
                spend.settle(job_id=task_id, actual=actual, basis=spend.Basis.ASSUMED)
            else:
                spend.settle(job_id=task_id, actual=ZERO, basis=spend.Basis.ASSUMED)
        return moved


def complete_if_stored(*, task_id: UUID) -> bool:
    """downloading -> ready once every file is stored; a refunded task is marked as delivered late instead.

    Called in the transaction that stores a file. Returns whether the task is now complete.
    """
    files = list(VideoFile.objects.filter(task_id=task_id))
    if not files or any(file.state != VideoFile.State.STORED for file in files):
        return False
    at = clock.database_now()
    if move(task_id, from_=(Status.DOWNLOADING,), to=Status.READY, event=Event.READY, finished_at=at, due_at=at):
        task_alerts.resolve_all(reference_of(task_id))
        return True
    late = VideoTask.objects.filter(pk=task_id, status=Status.FAILED, late_at=None).update(late_at=at)
    if late:
        record_event(task_id, Event.LATE_RESULT)
        task_alerts.resolve_all(reference_of(task_id))
        alert_grouping.raise_job_alert(Alert.Kind.LATE_RESULT, reference=reference_of(task_id))
    return bool(late)


def _create_files(task_id: UUID, urls: Sequence[str]) -> None:
    at = clock.database_now()
    for index, url in enumerate(urls):
        VideoFile.objects.get_or_create(
            task_id=task_id, index=index, defaults={"source_url": url, "due_at": at, "created_at": at}
        )


def _lock_late_task(task_id: UUID) -> bool:
    # Lock the task, because its owner may be deleting it: the deletion either waits and then removes the new file rows
    # too, or is already visible here as `deleted_at`.
    late = VideoTask.objects.filter(pk=task_id, status=Status.FAILED, late_at=None, deleted_at=None)
    return late.select_for_update().first() is not None

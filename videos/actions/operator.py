"""Operators' actions on a task. Each takes the status that the operator saw and does nothing if it has changed.

Status and money are changed by `videos.lifecycle` alone; its exception NotPossible says that the task's status does not
allow the action.
"""

from uuid import UUID

from django.db.models import QuerySet

from accounts.models import User
from accounts.seams import clock
from videos import job_queue
from videos.lifecycle import status_changes as lifecycle
from videos.models import VideoFile, VideoTask
from videos.pipeline import adoption, downloads, polling

Status = VideoTask.Status

# SUBMITTING is left out: while a request is being sent, it is not known whether the provider has started.
CANCELLABLE = (Status.QUEUED, Status.UNCONFIRMED, Status.GENERATING, Status.DOWNLOADING)


class TaskBusy(Exception):
    """A worker is handling the task at this moment."""


class CallbackPending(Exception):
    """A callback about an unconfirmed task was received but is not processed yet, so the task must not be ended."""


def can_check(task: VideoTask) -> bool:
    """Whether there is something to check: a queued task could be sent, or the provider can be asked for a result."""
    return (
        task.status == Status.QUEUED
        or VideoTask.objects.filter(polling.awaiting_verdict(), pk=task.pk, deleted_at=None).exists()
    )


def can_retry_download(task: VideoTask) -> bool:
    """Whether the provider has files that we have not stored."""
    return task.deleted_at is None and _missing_files(task.pk).exists()


def check_now(*, task_id: UUID, seen_status: str, actor: User) -> None:
    """Make the task due now, so that a worker sends it (if queued) or asks the provider for its result.

    Raises NotPossible if its status has changed or there is nothing to check.
    """
    at = clock.database_now()
    task = VideoTask.objects.get(pk=task_id)
    if task.status != seen_status or not can_check(task):
        raise lifecycle.NotPossible(task.status)
    if not VideoTask.objects.filter(pk=task_id, status=seen_status).update(due_at=at):
        raise lifecycle.NotPossible(_status_of(task_id))
    lifecycle.add_note(task_id=task_id, code="check_now", detail="checked by an operator", actor=actor)
    job_queue.enqueue("dispatch" if seen_status == Status.QUEUED else "poll")


def retry_download(*, task_id: UUID, seen_status: str, actor: User) -> int:
    """Make the missing files due for download, including files that were given up; returns how many are due.

    Raises TaskBusy while a worker is fetching them, NotPossible if none is missing.
    """
    task = VideoTask.objects.get(pk=task_id)
    if task.status != seen_status or not can_retry_download(task):
        raise lifecycle.NotPossible(task.status)
    if _missing_files(task_id).filter(lease_until__gt=clock.database_now()).exists():
        raise TaskBusy
    count = downloads.retry(task_id=task_id)
    lifecycle.add_note(task_id=task_id, code="retry_download", detail="retried by an operator", actor=actor)
    job_queue.enqueue("download")
    return count


def cancel(*, task_id: UUID, seen_status: str, actor: User) -> None:
    """End a task and refund its owner.

    If the task was sent and its cost is not known yet, the estimate is recorded as a possible cost and an alert is
    raised. Raises TaskBusy while the task is being sent, CallbackPending, and NotPossible if its status has changed.
    """
    if seen_status == Status.SUBMITTING:
        raise TaskBusy
    if seen_status not in CANCELLABLE:
        raise lifecycle.NotPossible(seen_status)
    if seen_status == Status.QUEUED:
        succeeded = lifecycle.cancel(task_id=task_id, code="operator", actor=actor)
    else:
        _refuse_if_callback_pending(task_id)
        succeeded = lifecycle.give_up(
            task_id=task_id, from_=seen_status, code="operator", detail="ended by an operator", actor=actor
        )
    if not succeeded:
        raise lifecycle.NotPossible(_status_of(task_id))


def mark_lost(*, task_id: UUID, actor: User) -> None:
    """Give up an unconfirmed task and refund its owner.

    Raises CallbackPending, and NotPossible if the task's status has changed.
    """
    _refuse_if_callback_pending(task_id)
    if not lifecycle.give_up(
        task_id=task_id,
        from_=Status.UNCONFIRMED,
        code="unconfirmed",
        detail="marked as lost by an operator",
        actor=actor,
    ):
        raise lifecycle.NotPossible(_status_of(task_id))


def _refuse_if_callback_pending(task_id: UUID) -> None:
    """Raises CallbackPending if a received callback must be processed before the task may be refunded."""
    task = VideoTask.objects.get(pk=task_id)
    if task.status == Status.UNCONFIRMED and adoption.pending_receipts(task):
        raise CallbackPending


def _missing_files(task_id: UUID) -> QuerySet[VideoFile]:
    return VideoFile.objects.filter(task_id=task_id, state__in=[VideoFile.State.PENDING, VideoFile.State.LOST])


def _status_of(task_id: UUID) -> str:
    return VideoTask.objects.values_list("status", flat=True).get(pk=task_id)

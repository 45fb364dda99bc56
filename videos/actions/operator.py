"""What operators may do with a video task. Each act is told the state its operator saw and does nothing in any other.

They stand on the same acts as everything else: status and money move in `videos.lifecycle.acts` alone.
"""

from uuid import UUID

from django.db.models import QuerySet

from accounts.models import User
from accounts.seams import clock
from videos import job_queue
from videos.lifecycle import acts as lifecycle
from videos.models import VideoFile, VideoTask
from videos.pipeline import adoption, downloads, polling

Status = VideoTask.Status

# Only these can be ended by a person: while a request is being sent nobody knows what has begun.
CANCELLABLE = (Status.QUEUED, Status.UNCONFIRMED, Status.GENERATING, Status.DOWNLOADING)


class TaskBusy(Exception):
    """A worker holds it at this moment."""


class CallbackPending(Exception):
    """The provider has called about an unconfirmed task, and nobody has looked yet: its word comes before ours."""


def can_check(task: VideoTask) -> bool:
    """Whether there is anything to look for: a place to be sent, or a verdict."""
    return task.status == Status.QUEUED or VideoTask.objects.filter(polling.due(), pk=task.pk, deleted_at=None).exists()


def can_retry_download(task: VideoTask) -> bool:
    """Whether the provider named files that we do not have."""
    return task.deleted_at is None and _missing_files(task.pk).exists()


def check_now(*, task_id: UUID, seen: str, actor: User) -> None:
    """Let dispatcher or poller look at once. Raises NotPossible when it is not as seen, or nothing is to be looked for."""
    at = clock.database_now()
    task = VideoTask.objects.get(pk=task_id)
    if task.status != seen or not can_check(task):
        raise lifecycle.NotPossible(task.status)
    if not VideoTask.objects.filter(pk=task_id, status=seen).update(due_at=at):
        raise lifecycle.NotPossible(_status_of(task_id))
    lifecycle.note(task_id=task_id, code="look_now", detail="looked at by hand", actor=actor)
    job_queue.enqueue("dispatch" if seen == Status.QUEUED else "poll")


def retry_download(*, task_id: UUID, seen: str, actor: User) -> int:
    """Fetch the missing files at once, also those given up; returns how many.

    Raises Busy while a worker is fetching them, NotPossible when none is missing.
    """
    task = VideoTask.objects.get(pk=task_id)
    if task.status != seen or not can_retry_download(task):
        raise lifecycle.NotPossible(task.status)
    if _missing_files(task_id).filter(lease_until__gt=clock.database_now()).exists():
        raise TaskBusy
    count = downloads.retry(task_id=task_id)
    lifecycle.note(task_id=task_id, code="retry_download", detail="fetched again by hand", actor=actor)
    job_queue.enqueue("download")
    return count


def cancel(*, task_id: UUID, seen: str, actor: User) -> None:
    """End a task as seen and give its price back. What was sent may have been paid for: booked as possible, and alerted.

    Raises Busy while it is being sent, Called, NotPossible when it is not as seen any more.
    """
    if seen == Status.SUBMITTING:
        raise TaskBusy
    if seen not in CANCELLABLE:
        raise lifecycle.NotPossible(seen)
    if seen == Status.QUEUED:
        ended = lifecycle.cancelled(task_id=task_id, code="operator", actor=actor)
    else:
        _refuse_if_callback_pending(task_id)
        ended = lifecycle.given_up(
            task_id=task_id, from_=seen, code="operator", detail="ended by an operator", actor=actor
        )
    if not ended:
        raise lifecycle.NotPossible(_status_of(task_id))


def mark_lost(*, task_id: UUID, actor: User) -> None:
    """Stop waiting for an unconfirmed task and give its price back. Raises Called, NotPossible when it is another by now."""
    _refuse_if_callback_pending(task_id)
    if not lifecycle.given_up(
        task_id=task_id, from_=Status.UNCONFIRMED, code="unconfirmed", detail="called lost by an operator", actor=actor
    ):
        raise lifecycle.NotPossible(_status_of(task_id))


def _refuse_if_callback_pending(task_id: UUID) -> None:
    """A callback that we answered with 200 is honoured: it is looked into before anybody is refunded. Raises Called."""
    task = VideoTask.objects.get(pk=task_id)
    if task.status == Status.UNCONFIRMED and adoption.pending_names(task):
        raise CallbackPending


def _missing_files(task_id: UUID) -> QuerySet[VideoFile]:
    return VideoFile.objects.filter(task_id=task_id, state__in=[VideoFile.State.PENDING, VideoFile.State.LOST])


def _status_of(task_id: UUID) -> str:
    return VideoTask.objects.values_list("status", flat=True).get(pk=task_id)

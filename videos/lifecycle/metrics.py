"""Counts each status change of a task, in the transaction that changes it. What is counted:

- when an order has been sent: how long it had waited
- when the provider's verdict (success or failure) is known: how we learnt it and, for a success, how long it took
- when the task ends: whether it is ready, failed (by reason) or cancelled, and the credits refunded

`videos.audit.recount` computes the same numbers from the rows, to check these counts.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from billing.costs import histogram, rollups
from billing.models import Measure
from videos.models import VideoTask

Status = VideoTask.Status

MEASURE_OF_STATUS = {Status.READY: Measure.READY, Status.FAILED: Measure.FAILED, Status.CANCELLED: Measure.CANCELLED}


def record_counts(
    task: VideoTask, counts: Sequence[rollups.Count] = (), labelled: Sequence[rollups.LabelledCount] = ()
) -> None:
    """Add these counts for a task, in the caller's transaction."""
    if counts or labelled:
        rollups.record_job_counts(job_id=task.pk, counts=counts, labelled=labelled)


def count_status_change(task: VideoTask, *, to: str, changes: Mapping[str, Any]) -> None:
    """Add the counts of one status change; `task` is the row as it was before the change."""
    labelled: list[rollups.LabelledCount] = []
    if task.status == Status.SUBMITTING and to != Status.QUEUED and task.submitted_at is not None:
        labelled.append((Measure.WAIT, bucket(since=task.created_at, until=task.submitted_at), 1))
    if changes.get("settled_by"):
        labelled += _verdict_counts(task, changes["settled_by"], changes["provider_done_at"])
    if to == Status.FAILED:
        labelled.append((Measure.FAILURE, changes["failure_code"], 1))
    measure = MEASURE_OF_STATUS.get(Status(to))
    record_counts(task, [(measure, 1)] if measure else [], labelled)


def record_late_verdict(task_id: UUID, *, settled_by: str, provider_done_at: datetime) -> None:
    """Record and count the verdict of a refunded task, unless it already has one. The caller has locked the row."""
    unsettled = VideoTask.objects.filter(pk=task_id, settled_by="")
    if unsettled.update(settled_by=settled_by, provider_done_at=provider_done_at):
        task = VideoTask.objects.get(pk=task_id)
        record_counts(task, labelled=_verdict_counts(task, settled_by, provider_done_at))


def bucket(*, since: datetime, until: datetime) -> str:
    """The bucket of the histogram of durations into which the time between these two falls."""
    return histogram.duration_bucket((until - since).total_seconds())


def _verdict_counts(task: VideoTask, source: str, done_at: datetime | None) -> list[rollups.LabelledCount]:
    counts: list[rollups.LabelledCount] = [(Measure.VERDICT, source, 1)]
    if done_at is not None and task.submitted_at is not None:
        counts.append((Measure.GENERATION, bucket(since=task.submitted_at, until=done_at), 1))
    return counts

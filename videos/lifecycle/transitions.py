"""Carries out a status change: sets the new status if the old one is as expected, records the event, counts the change,
and refunds the user when a task ends without a video.

Only `status_changes` and `verdicts` call `move` and `end_with_refund`. `fence` is a number that grows each time a
worker claims a task: a worker whose number differs from the one in the row has lost the task and changes nothing.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.models import User
from accounts.seams import clock
from billing.credits import ledger
from billing.models import Measure
from videos.lifecycle import alerts as task_alerts
from videos.lifecycle import metrics as task_metrics
from videos.models import TaskEvent, VideoTask

Status = VideoTask.Status
Event = TaskEvent.Kind


def end_with_refund(
    task_id: UUID, *, from_: tuple[Status, ...], to: Status, event: TaskEvent.Kind, **changes: Any
) -> bool:
    """Move a task to failed or cancelled and refund its user, in the caller's transaction.

    Returns whether the status changed.
    """
    code, detail = changes.get("code", ""), changes.get("detail", "")
    moved = move(
        task_id,
        from_=from_,
        to=to,
        event=event,
        finished_at=clock.database_now(),
        lease_until=None,
        failure_code=code,
        failure_detail=detail[:500],
        **changes,
    )
    if moved:
        task = VideoTask.objects.get(pk=task_id)
        refund = ledger.refund(
            charge_key=task.charge_key, idempotency_key=task.refund_key, note=code, actor=changes.get("actor")
        )
        record_event(task_id, Event.REFUNDED, user_credits=refund.amount)
        task_metrics.record_counts(task, [(Measure.REFUNDED, refund.amount)])
        task_alerts.resolve_all(task.reference)
    return moved


def move(
    task_id: UUID,
    *,
    from_: Iterable[Status],
    to: Status,
    event: TaskEvent.Kind,
    fence: int | None = None,
    code: str = "",
    detail: str = "",
    actor: User | None = None,
    **changes: Any,
) -> bool:
    """Move a task from one of the statuses `from_` to `to`; returns whether the status changed.

    If `fence` is given and differs from the one in the row, nothing changes. `changes` are further columns to set.
    """
    with transaction.atomic():
        task = VideoTask.objects.select_for_update().filter(pk=task_id, status__in=list(from_)).first()
        if task is None or (fence is not None and task.fence != fence):
            return False
        old_status = task.status
        # SQLite does not lock rows, so the update checks the status and the fence again.
        if not VideoTask.objects.filter(pk=task_id, status=old_status, fence=task.fence).update(status=to, **changes):
            return False
        record_event(task_id, event, from_=old_status, to=to, code=code, detail=detail, actor=actor)
        task_metrics.count_status_change(task, to=to, changes=changes)
        return True


def record_event(
    task_id: UUID,
    kind: TaskEvent.Kind,
    *,
    from_: str = "",
    to: str = "",
    code: str = "",
    detail: str = "",
    user_credits: int | None = None,
    actor: User | None = None,
) -> None:
    """Add an event to a task's history."""
    TaskEvent.objects.create(
        task_id=task_id,
        at=clock.database_now(),
        kind=kind,
        from_status=from_,
        to_status=to,
        code=code[:40],
        detail=detail[:500],
        user_credits=user_credits,
        actor=actor,
    )


def reference_of(task_id: UUID) -> str:
    """The task's name in ledger entries and alerts."""
    return f"video:{task_id}"


def task_id_of(reference: str) -> UUID | None:
    """The id of the task that a reference names, or None if it names something else."""
    app, _, key = reference.partition(":")
    try:
        return UUID(key) if app == "video" else None
    except ValueError:
        return None

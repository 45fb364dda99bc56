"""Changes the status of video tasks. Only this module and `videos.lifecycle.verdicts` write a task's status.

    queued -> submitting -> generating -> downloading -> ready
       |          |-> unconfirmed -^           |
       v          v            |               v
    cancelled   failed <-------+------------ failed

Each function checks the old status, changes it, writes the TaskEvent and moves credits, all in one transaction, and
returns whether the status changed. Repeating a change has no effect. No function makes network calls.

A worker *claims* a task before it sends it: the task is then reserved for that worker. `fence` is the number of the
claim. It grows with every claim, and a worker whose number is no longer the one in the row changes nothing.
"""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.models import User
from accounts.seams import clock
from billing.alerts import grouping as alert_grouping
from billing.costs import spend
from billing.guard.checks import Wait
from billing.models import Alert
from videos.lifecycle.transitions import end_with_refund, move, record_event, reference_of
from videos.models import TaskEvent, VideoTask

Status = VideoTask.Status
Event = TaskEvent.Kind

ZERO = Decimal(0)
# Maximum number of ids in one `IN (...)`.
BATCH_SIZE = 1_000


class NotPossible(Exception):
    """The status of the task, which is in `status`, does not allow what a user or operator requested."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


def record_first_event(task: VideoTask) -> None:
    """Record the task's first event, in the transaction of `orders.create`, which charges the user."""
    record_event(task.pk, Event.CHARGED, to=Status.QUEUED, user_credits=-task.user_credits)


def claim(*, task_id: UUID, account_id: int, token_hash: str) -> VideoTask | None:
    """queued -> submitting: reserve the task for this worker until `lease_until`, with a new `fence` number.

    Called in the dispatcher's transaction. Returns None if another worker claimed it first.
    """
    task = VideoTask.objects.select_for_update().filter(pk=task_id, status=Status.QUEUED).first()
    if task is None:
        return None
    at = clock.database_now()
    task.status, task.account_id, task.callback_token_hash = Status.SUBMITTING, account_id, token_hash
    until = at + timedelta(seconds=settings.SUBMIT_LEASE_S)
    task.lease_until, task.fence, task.submitted_at, task.due_at = (
        until,
        task.fence + 1,
        at,
        until,
    )
    task.submit_attempts, task.wait_code, task.wait_until = task.submit_attempts + 1, "", None
    task.save()
    record_event(task_id, Event.CLAIMED, from_=Status.QUEUED, to=Status.SUBMITTING)
    return task


def is_claim_held(*, task_id: UUID, fence: int) -> bool:
    """Whether this worker still holds its claim; checked right before the paid request is sent."""
    held = VideoTask.objects.filter(pk=task_id, fence=fence, status=Status.SUBMITTING)
    return held.filter(lease_until__gt=clock.database_now()).exists()


def accept(*, task_id: UUID, fence: int, provider_task_id: str, due_in_s: float) -> bool:
    """submitting (or already unconfirmed) -> generating: the provider returned its task id."""
    if VideoTask.objects.filter(provider_task_id=provider_task_id).exclude(pk=task_id).exists():
        return mark_unconfirmed(
            task_id=task_id, fence=fence, detail="the provider returned the task id of another order"
        )
    at = clock.database_now()
    try:
        with transaction.atomic():
            moved = move(
                task_id,
                from_=(Status.SUBMITTING, Status.UNCONFIRMED),
                to=Status.GENERATING,
                fence=fence,
                event=Event.ACCEPTED,
                provider_task_id=provider_task_id,
                generating_at=at,
                lease_until=None,
                due_at=at + timedelta(seconds=due_in_s),
            )
            if moved:
                spend.record_response(job_id=task_id, outcome=spend.Outcome.ACCEPTED)
                spend.confirm_call(job_id=task_id)
                alert_grouping.resolve_job_alerts([Alert.Kind.UNCONFIRMED], reference=reference_of(task_id))
            return moved
    except IntegrityError:
        # Another task recorded this id after the check above.
        return mark_unconfirmed(
            task_id=task_id, fence=fence, detail="the provider returned the task id of another order"
        )


def requeue(*, task_id: UUID, fence: int, wait: Wait, detail: str = "") -> bool:
    """submitting -> queued: the provider did not start anything; the task is due again at `wait.until`."""
    with transaction.atomic():
        moved = move(
            task_id,
            from_=(Status.SUBMITTING,),
            to=Status.QUEUED,
            fence=fence,
            event=Event.REQUEUED,
            code=wait.code,
            detail=detail,
            lease_until=None,
            submitted_at=None,
            wait_code=wait.code,
            wait_until=wait.until,
            due_at=wait.until,
        )
        if moved:
            spend.record_response(job_id=task_id, outcome=spend.Outcome.NOT_SENT, code=wait.code, detail=detail)
        return moved


def hold_back(*, task_id: UUID, wait: Wait) -> bool:
    """Postpone a queued task until `wait.until`, for a reason that concerns only this task (its images, a budget)."""
    return bool(
        VideoTask.objects.filter(pk=task_id, status=Status.QUEUED).update(
            wait_code=wait.code, wait_until=wait.ends_at or wait.until, due_at=wait.until
        )
    )


def hold_back_all(*, task_ids: Iterable[UUID], wait: Wait) -> int:
    """Postpone all of these tasks that are queued and due, for one common reason; returns how many were postponed."""
    ids = list(task_ids)
    queued = VideoTask.objects.filter(status=Status.QUEUED, due_at__lte=clock.database_now())
    return sum(
        queued.filter(pk__in=ids[start : start + BATCH_SIZE]).update(
            wait_code=wait.code, wait_until=wait.ends_at or wait.until, due_at=wait.until
        )
        for start in range(0, len(ids), BATCH_SIZE)
    )


def mark_all_waiting(*, wait: Wait) -> int:
    """Record on every due task why all of them wait and until when; they stay due.

    Without this, the sweep would cancel them as overdue (see `queue.list_overdue`).
    """
    until = wait.ends_at or wait.until
    due = VideoTask.objects.filter(status=Status.QUEUED, due_at__lte=clock.database_now())
    return due.exclude(wait_code=wait.code, wait_until=until).update(wait_code=wait.code, wait_until=until)


def mark_unconfirmed(*, task_id: UUID, fence: int, detail: str) -> bool:
    """submitting -> unconfirmed: the request was sent, but no usable response arrived.

    The task is never sent again: a callback shows that the provider has it, or the deadline passes and it is refunded.
    """
    with transaction.atomic():
        moved = move(
            task_id,
            from_=(Status.SUBMITTING,),
            to=Status.UNCONFIRMED,
            fence=fence,
            event=Event.UNCONFIRMED,
            detail=detail,
            lease_until=None,
            due_at=clock.database_now(),
        )
        if moved:
            spend.record_response(job_id=task_id, outcome=spend.Outcome.UNCONFIRMED, detail=detail)
        return moved


def refuse(*, task_id: UUID, fence: int, reason: str, detail: str) -> bool:
    """submitting -> failed: the provider refused the order. The user is refunded; the provider charged nothing."""
    with transaction.atomic():
        moved = end_with_refund(
            task_id,
            from_=(Status.SUBMITTING,),
            to=Status.FAILED,
            fence=fence,
            event=Event.REFUSED,
            code=reason,
            detail=detail,
        )
        if moved:
            spend.record_response(job_id=task_id, outcome=spend.Outcome.REFUSED, code=reason, detail=detail)
            spend.settle(job_id=task_id, actual=ZERO, basis=spend.Basis.NOT_SPENT)
        return moved


def adopt(*, task_id: UUID, provider_task_id: str) -> bool:
    """unconfirmed -> generating: a callback named the provider's task, and its status report shows that it is ours.

    A task that was refunded meanwhile only gets the id: its result is delivered without a new charge.
    """
    if VideoTask.objects.filter(provider_task_id=provider_task_id).exclude(pk=task_id).exists():
        return False
    at = clock.database_now()
    with transaction.atomic():
        moved = move(
            task_id,
            from_=(Status.UNCONFIRMED,),
            to=Status.GENERATING,
            event=Event.ADOPTED,
            provider_task_id=provider_task_id,
            generating_at=at,
            due_at=at,
        )
        if moved:
            spend.confirm_call(job_id=task_id)
            alert_grouping.resolve_job_alerts([Alert.Kind.UNCONFIRMED], reference=reference_of(task_id))
            return True
        late = VideoTask.objects.filter(pk=task_id, status=Status.FAILED, provider_task_id=None)
        return bool(late.update(provider_task_id=provider_task_id, due_at=at))


def give_up(*, task_id: UUID, from_: str, code: str, detail: str = "", actor: User | None = None) -> bool:
    """unconfirmed, generating or downloading -> failed without a verdict: a deadline passed or an operator gave up.

    The user is refunded. The provider may have charged us: unless the cost is already known, the estimate is recorded
    as a possible cost and an alert is raised.
    """
    with transaction.atomic():
        moved = end_with_refund(
            task_id, from_=(Status(from_),), to=Status.FAILED, event=Event.FAILED, code=code, detail=detail, actor=actor
        )
        if moved:
            reference = reference_of(task_id)
            actual, _ = spend.get_known_cost(job_id=task_id, reported=None)
            if spend.settle(job_id=task_id, actual=actual, basis=spend.Basis.POSSIBLE):
                facts = {
                    "say": ["given_up_by_hand" if actor else f"given_up_{code}"],
                    "hours": f"{settings.HARD_DEADLINE_HOURS:g}",
                    # "words" is third-party text, quoted after our sentences ("say"); see `billing.alerts.messages`.
                    # Only for "no_file" does the detail add something to these sentences.
                    "words": detail if code == "no_file" else "",
                }
                alert_grouping.raise_job_alert(
                    Alert.Kind.POSSIBLE_SPEND, reference=reference, detail=f"{code}: {detail}"[:300], facts=facts
                )
            # A result may still arrive, so it is polled once an hour.
            VideoTask.objects.filter(pk=task_id).update(due_at=clock.database_now() + timedelta(hours=1))
        return moved


def cancel(*, task_id: UUID, code: str, actor: User | None) -> bool:
    """queued -> cancelled, with a full refund: nothing was sent."""
    with transaction.atomic():
        moved = end_with_refund(
            task_id, from_=(Status.QUEUED,), to=Status.CANCELLED, event=Event.CANCELLED, code=code, actor=actor
        )
        if moved:
            spend.settle(job_id=task_id, actual=ZERO, basis=spend.Basis.NOT_SPENT)
        return moved


def add_note(
    *, task_id: UUID, kind: TaskEvent.Kind = Event.NOTE, code: str = "", detail: str = "", actor: User | None = None
) -> None:
    """Record an event without changing the task."""
    record_event(task_id, kind, code=code, detail=detail, actor=actor)


def mark_delayed(*, task_id: UUID) -> bool:
    """Record once that a task takes longer than usual; the status of the task does not change."""
    if not VideoTask.objects.filter(pk=task_id, delayed_at=None).update(delayed_at=clock.database_now()):
        return False
    record_event(task_id, Event.DELAYED)
    return True

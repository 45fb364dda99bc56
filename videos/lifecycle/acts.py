"""The only writer of a task's status, together with `videos.lifecycle.verdicts`, where the provider's verdict ends a task.

    queued -> submitting -> generating -> downloading -> ready
       |          |-> unconfirmed -^           |
       v          v            |               v
    cancelled   failed <-------+------------ failed

Each act moves the task by compare-and-set, writes its TaskEvent, and moves money in the same transaction; it returns
whether it moved. Whoever comes second finds nothing to move and does no harm. No network here.
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
from videos.lifecycle.transitions import end, move, record, reference_of
from videos.models import TaskEvent, VideoTask

Status = VideoTask.Status
Event = TaskEvent.Kind

ZERO = Decimal(0)
# So many rows are named in one statement.
HELD_AT_ONCE = 1_000


class NotPossible(Exception):
    """A person asked for something that this task's state does not allow. `status` says where it stands."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


def record_charge(task: VideoTask) -> None:
    """The first line of the receipt. Part of `orders.create`'s transaction."""
    record(task.pk, Event.CHARGED, to=Status.QUEUED, user_credits=-task.user_credits)


def claim(*, task_id: UUID, account_id: int, token_hash: str) -> VideoTask | None:
    """queued -> submitting, under a lease and a new fence, in the dispatcher's transaction; None when another was first."""
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
    record(task_id, Event.CLAIMED, from_=Status.QUEUED, to=Status.SUBMITTING)
    return task


def may_be_sent(*, task_id: UUID, fence: int) -> bool:
    """Whether the claim still holds: asked right before the paid request leaves."""
    held = VideoTask.objects.filter(pk=task_id, fence=fence, status=Status.SUBMITTING)
    return held.filter(lease_until__gt=clock.database_now()).exists()


def accepted(*, task_id: UUID, fence: int, provider_task_id: str, due_in_s: float) -> bool:
    """submitting (or already given up as unconfirmed) -> generating: the provider named its task."""
    if VideoTask.objects.filter(provider_task_id=provider_task_id).exclude(pk=task_id).exists():
        return unconfirmed(task_id=task_id, fence=fence, detail="the provider named a task that is another's")
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
                spend.answered(job_id=task_id, outcome=spend.Outcome.ACCEPTED)
                spend.confirmed(job_id=task_id)
                alert_grouping.resolve_job_alerts([Alert.Kind.UNCONFIRMED], reference=reference_of(task_id))
            return moved
    except IntegrityError:
        # Two answers named the same task in the same moment; the second is as unusable as above.
        return unconfirmed(task_id=task_id, fence=fence, detail="the provider named a task that is another's")


def requeued(*, task_id: UUID, fence: int, wait: Wait, detail: str = "") -> bool:
    """submitting -> queued: nothing was begun; look again at `wait.until`."""
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
            spend.answered(job_id=task_id, outcome=spend.Outcome.NOT_SENT, code=wait.code, detail=detail)
        return moved


def held_back(*, task_id: UUID, wait: Wait) -> bool:
    """A queued task that cannot go yet for a reason of its own (its images, a budget): look again at `wait.until`."""
    return bool(
        VideoTask.objects.filter(pk=task_id, status=Status.QUEUED).update(
            wait_code=wait.code, wait_until=wait.ends_at or wait.until, due_at=wait.until
        )
    )


def all_held_back(*, task_ids: Iterable[UUID], wait: Wait) -> int:
    """The same for all of these that are queued and due, for a reason they share; returns how many."""
    ids = list(task_ids)
    queued = VideoTask.objects.filter(status=Status.QUEUED, due_at__lte=clock.database_now())
    return sum(
        queued.filter(pk__in=ids[start : start + HELD_AT_ONCE]).update(
            wait_code=wait.code, wait_until=wait.ends_at or wait.until, due_at=wait.until
        )
        for start in range(0, len(ids), HELD_AT_ONCE)
    )


def all_told(*, wait: Wait) -> int:
    """Note on every due task why all of them wait and until when, so that none is taken for forgotten; they stay due."""
    until = wait.ends_at or wait.until
    due = VideoTask.objects.filter(status=Status.QUEUED, due_at__lte=clock.database_now())
    return due.exclude(wait_code=wait.code, wait_until=until).update(wait_code=wait.code, wait_until=until)


def unconfirmed(*, task_id: UUID, fence: int, detail: str) -> bool:
    """submitting -> unconfirmed: sent, answer lost. Never sent again; a callback or the deadline decides."""
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
            spend.answered(job_id=task_id, outcome=spend.Outcome.UNCONFIRMED, detail=detail)
        return moved


def refused(*, task_id: UUID, fence: int, reason: str, detail: str) -> bool:
    """submitting -> failed: the provider will not do it. Refunded; it cost nothing."""
    with transaction.atomic():
        moved = end(
            task_id,
            from_=(Status.SUBMITTING,),
            to=Status.FAILED,
            fence=fence,
            event=Event.REFUSED,
            code=reason,
            detail=detail,
        )
        if moved:
            spend.answered(job_id=task_id, outcome=spend.Outcome.REFUSED, code=reason, detail=detail)
            spend.settle(job_id=task_id, actual=ZERO, basis=spend.Basis.NOT_SPENT)
        return moved


def adopted(*, task_id: UUID, provider_task_id: str) -> bool:
    """unconfirmed -> generating: the provider's own call named the task, and record-info proved it ours.

    A task that was refunded meanwhile only learns the id: its result is delivered late and free.
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
            spend.confirmed(job_id=task_id)
            alert_grouping.resolve_job_alerts([Alert.Kind.UNCONFIRMED], reference=reference_of(task_id))
            return True
        late = VideoTask.objects.filter(pk=task_id, status=Status.FAILED, provider_task_id=None)
        return bool(late.update(provider_task_id=provider_task_id, due_at=at))


def given_up(*, task_id: UUID, from_: str, code: str, detail: str = "", actor: User | None = None) -> bool:
    """unconfirmed, generating or downloading -> failed, without a verdict: our patience, or a person's, ended.

    Refunded. The provider may have charged: the spend is booked as possible (or stays as known) and an alert says it.
    """
    with transaction.atomic():
        moved = end(
            task_id, from_=(Status(from_),), to=Status.FAILED, event=Event.FAILED, code=code, detail=detail, actor=actor
        )
        if moved:
            reference = reference_of(task_id)
            actual, _ = spend.known_cost(job_id=task_id, reported=None)
            if spend.settle(job_id=task_id, actual=actual, basis=spend.Basis.POSSIBLE):
                facts = {
                    "say": ["given_up_by_hand" if actor else f"given_up_{code}"],
                    "hours": f"{settings.HARD_DEADLINE_HOURS:g}",
                    # Why a file could not be had is the provider's or the storage's to say.
                    "words": detail if code == "no_file" else "",
                }
                alert_grouping.raise_job_alert(
                    Alert.Kind.POSSIBLE_SPEND, reference=reference, detail=f"{code}: {detail}"[:300], facts=facts
                )
            # The result may still come: watch for it, slowly.
            VideoTask.objects.filter(pk=task_id).update(due_at=clock.database_now() + timedelta(hours=1))
        return moved


def cancelled(*, task_id: UUID, code: str, actor: User | None) -> bool:
    """queued -> cancelled, with a full refund: nothing was sent."""
    with transaction.atomic():
        moved = end(task_id, from_=(Status.QUEUED,), to=Status.CANCELLED, event=Event.CANCELLED, code=code, actor=actor)
        if moved:
            spend.settle(job_id=task_id, actual=ZERO, basis=spend.Basis.NOT_SPENT)
        return moved


def note(
    *, task_id: UUID, kind: TaskEvent.Kind = Event.NOTE, code: str = "", detail: str = "", actor: User | None = None
) -> None:
    """A line on the receipt that changes nothing."""
    record(task_id, kind, code=code, detail=detail, actor=actor)


def delayed(*, task_id: UUID) -> bool:
    """Say once that a task takes longer than it should; it stays where it is."""
    if not VideoTask.objects.filter(pk=task_id, delayed_at=None).update(delayed_at=clock.database_now()):
        return False
    record(task_id, Event.DELAYED)
    return True

"""The sweep: derives all work from the rows, so that no lost job, dead worker or dropped callback loses a video."""

from datetime import timedelta

from django.db.models import Q

from accounts.doors import clock
from billing import (
    alert_routing,
    books,
    breaker,
    budget_alerts,
    budgets,
    provider_accounts,
    snapshots,
    summary_round,
    top_ups,
)
from videos import (
    balances,
    doorbells,
    images,
    lifecycle,
    notices,
    owners,
    polling,
    recount,
    removal,
    retention,
    watching,
)
from videos.models import CallbackReceipt, Doorbell, VideoFile, VideoTask

Status = VideoTask.Status

WATCH_EVERY = timedelta(minutes=1)
TIDY_EVERY = timedelta(seconds=10)
COUNT_EVERY = timedelta(seconds=3)
FILES_EVERY = timedelta(minutes=30)
LOTS_EVERY = timedelta(minutes=2)
# A queued task that waited so long takes its refund by itself.
WAIT_AT_MOST = timedelta(days=1)
CALLBACKS_KEPT = timedelta(days=60)


def ring_due() -> list[str]:
    """Ring for everything that is due; called every second by the supervisor. Returns what was rung."""
    at = clock.database_now()
    due = {
        "dispatch": VideoTask.objects.filter(status=Status.QUEUED, due_at__lte=at).exists(),
        "poll": VideoTask.objects.filter(polling.due(), due_at__lte=at).exists(),
        "download": VideoFile.objects.filter(state=VideoFile.State.PENDING, due_at__lte=at).exists(),
        "notify": notices.due().exists(),
        "alerts": alert_routing.due().exists(),
        "summary": summary_round.is_due(),
        "count": _was_answered_before("count", at - COUNT_EVERY) and recount.is_due(),
        "tidy": _was_answered_before("tidy", at - TIDY_EVERY),
        "balance": _was_answered_before("balance", at - balances.every()),
        "books": _was_answered_before("books", at - books.LOOK_EVERY),
        "reconcile": _was_answered_before("reconcile", at - top_ups.LOOK_EVERY),
        "lots": _was_answered_before("lots", at - LOTS_EVERY),
    }
    return [name for name, is_due in due.items() if is_due and doorbells.ring(name)]


def tidy() -> None:
    """Everything that heals by time."""
    at = clock.database_now()
    _end_dead_submissions()
    _end_long_waits()
    provider_accounts.end_pauses()
    budget_alerts.watch(at)
    if _is_time_for("watch", WATCH_EVERY):
        watching.look()
    if _is_time_for("files", FILES_EVERY):
        removal.sweep_files(at)
        retention.expire_old(at)
        images.sweep_images(at)
        owners.forget_closed()
        breaker.forget_old()
        snapshots.thin(at)
        budgets.forget_old(at)
        CallbackReceipt.objects.filter(received_at__lt=at - CALLBACKS_KEPT).delete()


def _end_dead_submissions() -> None:
    """Who holds a submission past its lease is dead, and nobody knows whether its bytes left: unconfirmed."""
    at = clock.database_now()
    for task in VideoTask.objects.filter(status=Status.SUBMITTING, lease_until__lt=at):
        if lifecycle.unconfirmed(task_id=task.pk, fence=task.fence, detail="the worker that sent it is gone"):
            doorbells.ring("poll")


def _end_long_waits() -> None:
    at = clock.database_now()
    # Who waits for a budget was told until when, and may cancel at any time: that wait ends by itself.
    promised = Q(wait_code__startswith="budget_", wait_until__gt=at)
    for task in VideoTask.objects.filter(status=Status.QUEUED, created_at__lt=at - WAIT_AT_MOST).exclude(promised)[
        :200
    ]:
        lifecycle.cancelled(task_id=task.pk, code="waited_too_long", actor=None)


def _was_answered_before(name: str, at: object) -> bool:
    return not Doorbell.objects.filter(name=name, answered_at__gt=at).exists()


def _is_time_for(name: str, every: timedelta) -> bool:
    """Whether a slow chore is due, noting that it is being done."""
    at = clock.database_now()
    if (
        Doorbell.objects.filter(name=name)
        .filter(Q(answered_at=None) | Q(answered_at__lt=at - every))
        .update(answered_at=at)
    ):
        return True
    _, created = Doorbell.objects.get_or_create(name=name, defaults={"answered_at": at})
    return created

"""The sweep: derives all work from the rows, so that no lost job, dead worker or dropped callback loses a video."""

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from django.db import DatabaseError
from django.db.models import Q

from accounts.seams import clock
from billing.alerts import outbox as alert_outbox
from billing.audit import runner as audit_runner
from billing.budgets import alerts as budget_alerts
from billing.budgets import usage as budget_usage
from billing.common import run_all
from billing.guard import circuit_breaker
from billing.provider import accounts as provider_accounts
from billing.provider import balance_history
from billing.reconciliation import top_ups
from billing.reports import summary_schedule
from videos import job_queue
from videos.actions import owner as owner_actions
from videos.audit import recount
from videos.lifecycle import acts as lifecycle
from videos.models import CallbackReceipt, Doorbell, VideoFile, VideoTask
from videos.notifications import user_mails
from videos.ordering import queue
from videos.pipeline import balances as provider_balances
from videos.pipeline import polling
from videos.storage import cleanup as storage_cleanup
from videos.storage import source_images
from videos.worker import health as worker_health

log = logging.getLogger(__name__)

Status = VideoTask.Status

WATCH_EVERY = timedelta(minutes=1)
TIDY_EVERY = timedelta(seconds=10)
COUNT_EVERY = timedelta(seconds=3)
FILES_EVERY = timedelta(minutes=30)
LOTS_EVERY = timedelta(minutes=2)
LATE_BOOKS_EVERY = timedelta(minutes=5)
CALLBACKS_KEPT = timedelta(days=60)


def ring_due() -> list[str]:
    """Ring for everything that is due; called every second by the supervisor. Returns what was rung.

    What cannot be looked at says so in the log and holds up nothing else; a database that is away ends the round.
    """
    at = clock.database_now()
    due: dict[str, Callable[[], bool]] = {
        "dispatch": lambda: VideoTask.objects.filter(status=Status.QUEUED, due_at__lte=at).exists(),
        "poll": lambda: VideoTask.objects.filter(polling.due(), due_at__lte=at).exists(),
        "download": lambda: VideoFile.objects.filter(state=VideoFile.State.PENDING, due_at__lte=at).exists(),
        "notify": lambda: user_mails.list_due().exists(),
        "alerts": lambda: alert_outbox.due_deliveries().exists(),
        "summary": summary_schedule.is_due,
        "count": lambda: _was_answered_before("count", at - COUNT_EVERY) and recount.is_due(),
        "tidy": lambda: _was_answered_before("tidy", at - TIDY_EVERY),
        "balance": lambda: _was_answered_before("balance", at - provider_balances.every()),
        "books": lambda: _was_answered_before("books", at - audit_runner.AUDIT_INTERVAL),
        "reconcile": lambda: _was_answered_before("reconcile", at - top_ups.RECONCILE_INTERVAL),
        "lots": lambda: _was_answered_before("lots", at - LOTS_EVERY),
    }
    return [name for name, is_due in due.items() if _is_due(name, is_due) and job_queue.ring(name)]


def tidy() -> None:
    """Everything that heals by time. A chore that fails is told of and holds up none of the others."""
    at = clock.database_now()
    run_all.run_all_then_raise(
        _end_dead_submissions,
        _end_long_waits,
        provider_accounts.end_expired_pauses,
        partial(budget_alerts.watch, at),
        _watch,
        _tell_late_books,
        _tidy_files,
    )


def _is_due(name: str, is_due: Callable[[], bool]) -> bool:
    try:
        return is_due()
    except DatabaseError:
        raise
    except Exception:
        log.exception("whether %s is due cannot be told", name)
        return False


def _watch() -> None:
    if _is_time_for("watch", WATCH_EVERY):
        run_all.run_all_then_raise(worker_health.check_recent_outcomes, worker_health.check_callbacks)


def _tell_late_books() -> None:
    """Tells when the books were late twice running: a worker that comes back after hours has yet to look at them."""
    if not _is_time_for("late_books", LATE_BOOKS_EVERY):
        return
    at = clock.database_now()
    bell = Doorbell.objects.filter(name="late_books")
    if not audit_runner.is_late(at):
        bell.update(rung_at=None)
    elif not bell.filter(rung_at=None).update(rung_at=at):
        audit_runner.raise_late_alert()


def _tidy_files() -> None:
    if not _is_time_for("files", FILES_EVERY):
        return
    at = clock.database_now()
    run_all.run_all_then_raise(
        partial(storage_cleanup.sweep_files, at),
        partial(owner_actions.delete_expired, at),
        partial(source_images.sweep_images, at),
        owner_actions.erase_closed_accounts,
        circuit_breaker.forget_old,
        partial(balance_history.delete_old_readings, at),
        partial(budget_usage.forget_old, at),
        CallbackReceipt.objects.filter(received_at__lt=at - CALLBACKS_KEPT).delete,
    )


def _end_dead_submissions() -> None:
    """Who holds a submission past its lease is dead, and nobody knows whether its bytes left: unconfirmed."""
    dead = VideoTask.objects.filter(status=Status.SUBMITTING, lease_until__lt=clock.database_now())

    def end(task: VideoTask) -> None:
        if lifecycle.unconfirmed(task_id=task.pk, fence=task.fence, detail="the worker that sent it is gone"):
            job_queue.ring("poll")

    run_all.run_all_then_raise(*(partial(end, task) for task in dead))


def _end_long_waits() -> None:
    late = queue.list_overdue(clock.database_now())[:200]
    cancel = partial(lifecycle.cancelled, code="waited_too_long", actor=None)
    run_all.run_all_then_raise(*(partial(cancel, task_id=task.pk) for task in late))


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

"""The sweep: finds due work in the database, so that a lost job, dead worker or lost callback never loses a video."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from django.db import DatabaseError
from django.db.models import DateTimeField, Q, QuerySet, Value

from accounts.seams import clock
from billing.alerts import outbox as alert_outbox
from billing.audit import runner as audit_runner
from billing.budgets import alerts as budget_alerts
from billing.budgets import usage as budget_usage
from billing.common import run_all
from billing.guard import circuit_breaker
from billing.models import Spend
from billing.provider import accounts as provider_accounts
from billing.provider import balance_history
from billing.reconciliation import top_ups
from billing.reports import summary_schedule
from videos import job_queue
from videos.actions import owner as owner_actions
from videos.audit import recount
from videos.lifecycle import status_changes as lifecycle
from videos.models import CallbackReceipt, JobRequest, VideoFile, VideoTask
from videos.notifications import user_mails
from videos.ordering import queue
from videos.pipeline import balances as provider_balances
from videos.pipeline import polling
from videos.storage import cleanup as storage_cleanup
from videos.storage import source_images
from videos.worker import health as worker_health

log = logging.getLogger(__name__)

Status = VideoTask.Status
T = TypeVar("T")

CHECK_EVERY = timedelta(minutes=1)
TIDY_EVERY = timedelta(seconds=10)
COUNT_EVERY = timedelta(seconds=3)
FILES_EVERY = timedelta(minutes=30)
LOTS_EVERY = timedelta(minutes=2)
LATE_AUDIT_EVERY = timedelta(minutes=5)
CALLBACKS_KEPT = timedelta(days=60)


def enqueue_due() -> list[str]:
    """Enqueue a job for everything that is due; called every second by the supervisor. Returns the jobs' names.

    A check that fails is logged and does not stop the others, except for errors of the database. While nothing is due this
    takes at most four queries: the time, the state of the queue, the provider account and the daily summary.
    """
    at = clock.database_now()
    waiting, started_at = _read_queue(at)

    def is_interval_over(name: str, interval: timedelta) -> bool:
        last_start = started_at.get(name)
        return last_start is None or last_start <= at - interval

    def is_balance_due() -> bool:
        return is_interval_over("balance", provider_balances.SHORTEST_INTERVAL) and is_interval_over(
            "balance",
            provider_balances.reading_interval(
                has_queued_videos=lambda: "queued videos" in waiting,
                has_unsettled_jobs=lambda: "unsettled jobs" in waiting,
            ),
        )

    checks: dict[str, Callable[[], bool]] = {
        "dispatch": lambda: "dispatch" in waiting,
        "poll": lambda: "poll" in waiting,
        "download": lambda: "download" in waiting,
        "notify": lambda: "notify" in waiting,
        "alerts": lambda: "alerts" in waiting,
        "summary": summary_schedule.is_due,
        "count": lambda: "count" in waiting and is_interval_over("count", COUNT_EVERY),
        "tidy": lambda: is_interval_over("tidy", TIDY_EVERY),
        "balance": is_balance_due,
        "books": lambda: is_interval_over("books", audit_runner.AUDIT_INTERVAL),
        "reconcile": lambda: is_interval_over("reconcile", top_ups.RECONCILE_INTERVAL),
        "lots": lambda: is_interval_over("lots", LOTS_EVERY),
    }
    return [name for name, is_due in checks.items() if _try(name, is_due) and job_queue.enqueue(name)]


def tidy() -> None:
    """Run all regular repairs. One that fails is logged and does not stop the others."""
    at = clock.database_now()
    run_all.run_all_then_raise(
        _handle_dead_submissions,
        _cancel_overdue_orders,
        provider_accounts.end_expired_pauses,
        partial(budget_alerts.update_alerts, at),
        _check_health,
        _report_late_audit,
        _tidy_files,
    )


def _read_queue(at: datetime) -> tuple[set[str], dict[str, datetime | None]]:
    """The names in `_waiting_rows` for which a row waits, and the time at which each job last started; in one query."""
    requests = JobRequest.objects.values_list(Value("request"), "name", "started_at")
    rows_found = requests.union(
        *(
            # One row for each name is enough. SQLite allows no LIMIT directly in a UNION, so it is in a subquery.
            rows.model._default_manager.filter(pk__in=rows.order_by().values("pk")[:1])
            .order_by()
            .values_list(Value("rows"), Value(name), Value(None, DateTimeField()))
            for name, list_rows in _waiting_rows(at).items()
            for rows in _try(name, list_rows) or ()
        ),
        all=True,
    )
    waiting: set[str] = set()
    started_at: dict[str, datetime | None] = {}
    for kind, name, last_start in rows_found:
        if kind == "rows":
            waiting.add(name)
        else:
            started_at[name] = last_start
    return waiting, started_at


def _waiting_rows(at: datetime) -> dict[str, Callable[[], list[QuerySet[Any]]]]:
    """Queries for rows that wait for something. Most queries have the name of the job that handles their rows."""
    queued = VideoTask.objects.filter(status=Status.QUEUED)
    return {
        "dispatch": lambda: [queued.filter(due_at__lte=at)],
        "poll": lambda: [VideoTask.objects.filter(polling.awaiting_verdict(), due_at__lte=at)],
        "download": lambda: [VideoFile.objects.filter(state=VideoFile.State.PENDING, due_at__lte=at)],
        "notify": lambda: [user_mails.list_due()],
        "alerts": lambda: [alert_outbox.due_deliveries()],
        "count": recount.uncounted_rows,
        "queued videos": lambda: [queued],
        "unsettled jobs": lambda: [Spend.objects.filter(state=Spend.State.PROMISED)],
    }


def _try(name: str, check: Callable[[], T]) -> T | None:
    """The result of the check, or None after logging an error other than one of the database."""
    try:
        return check()
    except DatabaseError:
        raise
    except Exception:
        log.exception("cannot check whether %s is due", name)
        return None


def _check_health() -> None:
    if _is_time_for("watch", CHECK_EVERY):
        run_all.run_all_then_raise(worker_health.check_recent_outcomes, worker_health.check_callbacks)


def _report_late_audit() -> None:
    """Alert operators if the audit of the books is late at two checks in a row.

    After one check it is too early: a worker that was just restarted has not had time to run the audit.
    """
    if not _is_time_for("late_books", LATE_AUDIT_EVERY):
        return
    at = clock.database_now()
    # "late_books" is not a job: `requested_at` of this row is the time at which the audit was first found late.
    request = JobRequest.objects.filter(name="late_books")
    if not audit_runner.is_late(at):
        request.update(requested_at=None)
    elif not request.filter(requested_at=None).update(requested_at=at):
        audit_runner.raise_late_alert()


def _tidy_files() -> None:
    if not _is_time_for("files", FILES_EVERY):
        return
    at = clock.database_now()
    run_all.run_all_then_raise(
        partial(storage_cleanup.sweep_files, at),
        partial(owner_actions.delete_expired, at),
        partial(source_images.delete_unused, at),
        owner_actions.erase_closed_accounts,
        circuit_breaker.delete_old_outcomes,
        partial(balance_history.delete_old_readings, at),
        partial(budget_usage.delete_old_windows, at),
        CallbackReceipt.objects.filter(received_at__lt=at - CALLBACKS_KEPT).delete,
    )


def _handle_dead_submissions() -> None:
    """Mark tasks as unconfirmed if the worker that was sending them has died, because it may have sent the request."""
    dead = VideoTask.objects.filter(status=Status.SUBMITTING, lease_until__lt=clock.database_now())

    def mark_unconfirmed(task: VideoTask) -> None:
        if lifecycle.mark_unconfirmed(task_id=task.pk, fence=task.fence, detail="the worker that sent it is gone"):
            job_queue.enqueue("poll")

    run_all.run_all_then_raise(*(partial(mark_unconfirmed, task) for task in dead))


def _cancel_overdue_orders() -> None:
    overdue = queue.list_overdue(clock.database_now())[:200]
    cancel = partial(lifecycle.cancel, code="waited_too_long", actor=None)
    run_all.run_all_then_raise(*(partial(cancel, task_id=task.pk) for task in overdue))


def _is_time_for(name: str, every: timedelta) -> bool:
    """Whether a chore that runs inside the job `tidy` is due; if so, record that it starts now.

    The time of its last start is in a JobRequest row too, although it is not a job of the queue.
    """
    at = clock.database_now()
    if (
        JobRequest.objects.filter(name=name)
        .filter(Q(started_at=None) | Q(started_at__lt=at - every))
        .update(started_at=at)
    ):
        return True
    _, created = JobRequest.objects.get_or_create(name=name, defaults={"started_at": at})
    return created

"""Polls the provider for the verdict on a task (success or failure), when the task is due or a callback has arrived."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from accounts.seams import clock, failpoints, randomness
from billing.alerts import services as alerts
from billing.guard import circuit_breaker
from billing.provider.accounts import NoProviderKey
from videos import job_queue
from videos.lifecycle import alerts as task_alerts
from videos.lifecycle import deadlines, verdicts
from videos.lifecycle import status_changes as lifecycle
from videos.models import CallbackReceipt, TaskEvent, VideoTask
from videos.pipeline import adoption, concurrency
from videos.pipeline.clients import free_call_client_for
from videos.providers import errors
from videos.providers.base import Report, ReportState

log = logging.getLogger(__name__)

Status = VideoTask.Status

MAX_PER_JOB = 200
# Longer than the call of one poll may take. If a worker dies while it polls, the poll is repeated after this time.
POLL_LEASE = timedelta(seconds=30)


def poll_due(*, limit: int = MAX_PER_JOB) -> int:
    """Poll every task that is due; returns how many."""
    return concurrency.run_each(poll, _claim_due(limit))


def awaiting_verdict() -> Q:
    """A filter for tasks that are polled: at the provider, unconfirmed, or refunded while a result may still arrive."""
    running = Q(status__in=[Status.GENERATING, Status.UNCONFIRMED])
    late = Q(status=Status.FAILED, late_at=None, account__isnull=False, provider_done_at=None) & Q(
        failure_code__in=["unconfirmed", "deadline", "operator", "no_file"]
    )
    return running | late


def poll(task: VideoTask) -> None:
    """Request the report on one task and record it. Safe to run twice and at any time."""
    if task.account is None:
        return
    try:
        client = free_call_client_for(task.account)
    except NoProviderKey as problem:
        alerts.raise_alert(alerts.Kind.ACCESS_DENIED, cause=task.account.cause, facts=problem.facts)
        return
    try:
        if task.provider_task_id is None:
            if not adoption.adopt(task=task, client=client):
                _await_callback(task)
                return
            task.refresh_from_db()
        assert task.provider_task_id is not None  # noqa: S101  set by the adoption above
        report = client.report(task.provider_task_id)
    except errors.NotVisible as error:
        _handle_not_visible(task, error)
    except errors.ProviderError as error:
        _handle_error(task, error)
    else:
        circuit_breaker.record_success(task.account.pk, call=circuit_breaker.Call.POLL)
        failpoints.reach("poll.answered")
        apply_report(task, report)


def apply_report(task: VideoTask, report: Report) -> None:
    """Record the verdict in this report, or schedule the next poll if there is none yet."""
    source = _verdict_source(task)
    if report.state == ReportState.SUCCEEDED and report.result_urls:
        if verdicts.record_success(task_id=task.pk, report=report, source=source):
            failpoints.reach("poll.settled")
            job_queue.enqueue("download")
    elif report.state == ReportState.FAILED:
        if not verdicts.record_failure(task_id=task.pk, report=report, source=source):
            _stop_polling(task)
    elif report.state == ReportState.SUCCEEDED:
        _handle_unclear_report(task, "success without a file", give_up_as="no_file", say="odd_no_file")
    elif report.state == ReportState.UNCLEAR:
        oddities = ", ".join(report.oddities)
        _handle_unclear_report(
            task, f"an unknown verdict: {oddities}", give_up_as="", say="odd_verdict", provider_text=oddities
        )
    else:
        VideoTask.objects.filter(pk=task.pk).update(trouble_since=None)
        _schedule_next_poll(task)


def _claim_due(limit: int) -> list[VideoTask]:
    """Claim due tasks for this job by postponing their due time."""
    at = clock.database_now()
    claimed = []
    due = VideoTask.objects.filter(awaiting_verdict(), due_at__lte=at).select_related("account").order_by("due_at")
    for task in due[:limit]:
        if VideoTask.objects.filter(pk=task.pk, due_at=task.due_at, status=task.status).update(
            due_at=at + POLL_LEASE, poll_attempts=task.poll_attempts + 1
        ):
            task.poll_attempts += 1
            claimed.append(task)
    return claimed


def _schedule_next_poll(task: VideoTask) -> None:
    """Set the time of the next poll: the older the task, the later. After the hard deadline, give the task up."""
    at = clock.database_now()
    since = task.submitted_at or task.created_at
    age = at - since
    if task.status == Status.FAILED:
        if age > deadlines.hard_deadline() + deadlines.LATE_RESULT_PERIOD:
            _stop_polling(task)
        else:
            _set_due(task, at + timedelta(hours=1))
        return
    if age >= deadlines.hard_deadline():
        lifecycle.give_up(
            task_id=task.pk,
            from_=task.status,
            code="deadline",
            detail=f"no verdict within {settings.HARD_DEADLINE_HOURS:g} hours",
        )
        return
    if age >= deadlines.SOFT_DEADLINE:
        if lifecycle.mark_delayed(task_id=task.pk):
            task_alerts.raise_alert(task, alerts.Kind.DELAYED)
        _set_due(task, at + timedelta(seconds=randomness.jitter(300)))
        return
    interval_s = min(3.0 * 1.3 ** min(task.poll_attempts, 20), 15.0 if _callbacks_are_rare() else 30.0)
    _set_due(task, at + timedelta(seconds=randomness.jitter(interval_s)))


def _await_callback(task: VideoTask) -> None:
    """Handle an unconfirmed task without a usable callback: alert operators, later refund. It is never sent again."""
    if task.status != Status.UNCONFIRMED:
        _schedule_next_poll(task)
        return
    at = clock.database_now()
    since = task.submitted_at or task.created_at
    if at - since >= deadlines.UNCONFIRMED_REFUND_AFTER:
        lifecycle.give_up(
            task_id=task.pk, from_=Status.UNCONFIRMED, code="unconfirmed", detail="no callback within an hour"
        )
        return
    if at - since >= deadlines.UNCONFIRMED_ALERT_AFTER:
        task_alerts.raise_alert(task, alerts.Kind.UNCONFIRMED)
    next_check_at = since + (
        deadlines.UNCONFIRMED_ALERT_AFTER
        if at - since < deadlines.UNCONFIRMED_ALERT_AFTER
        else deadlines.UNCONFIRMED_REFUND_AFTER
    )
    _set_due(task, next_check_at)


def _handle_not_visible(task: VideoTask, error: errors.NotVisible) -> None:
    """The provider does not know the task (yet): alert operators after ten minutes, but do not refund for this alone."""
    since = task.trouble_since or clock.database_now()
    _set_trouble_since(task, since)
    if clock.database_now() - since >= deadlines.NOT_VISIBLE_ALERT_AFTER:
        task_alerts.raise_alert(task, alerts.Kind.NOT_VISIBLE, detail=error.detail)
    _poll_later(task)


def _handle_error(task: VideoTask, error: errors.ProviderError) -> None:
    """The poll failed: the task keeps its status; the circuit breaker counts errors of the provider's server."""
    if task.account is not None and error.status is not None and error.status >= 500:
        circuit_breaker.record_failure(task.account.pk, detail=error.detail, call=circuit_breaker.Call.POLL)
    if isinstance(error, errors.AccessDenied) and task.account is not None:
        alerts.raise_alert(alerts.Kind.ACCESS_DENIED, cause=task.account.cause, detail=error.detail)
    _poll_later(task)


def _poll_later(task: VideoTask) -> None:
    """Schedule the next poll: soon while stored callbacks are unchecked, otherwise as usual."""
    age = clock.database_now() - (task.submitted_at or task.created_at)
    if task.provider_task_id is None and age < deadlines.hard_deadline() and adoption.pending_receipts(task):
        # A callback that we accepted with 200 must be checked before the task is refunded.
        _set_due(task, clock.database_now() + timedelta(seconds=randomness.jitter(5)))
    elif task.provider_task_id is None:
        _await_callback(task)
    else:
        _schedule_next_poll(task)


def _handle_unclear_report(
    task: VideoTask, problem: str, *, give_up_as: str, say: str, provider_text: str = ""
) -> None:
    """Handle a report without a usable verdict: alert and poll again.

    If `give_up_as` is a failure code, the task is given up with it after MISSING_FILE_TIMEOUT. `say` is the key of the
    alert's sentence in `billing.alerts`; `provider_text` is quoted after that sentence.
    """
    since = task.trouble_since or clock.database_now()
    _set_trouble_since(task, since)
    task_alerts.raise_alert(task, alerts.Kind.ODD_ANSWER, facts={"say": [say], "words": provider_text})
    if (
        give_up_as
        and clock.database_now() - since >= deadlines.MISSING_FILE_TIMEOUT
        and task.status == Status.GENERATING
    ):
        lifecycle.give_up(task_id=task.pk, from_=Status.GENERATING, code=give_up_as, detail=problem)
        return
    _schedule_next_poll(task)


def _set_trouble_since(task: VideoTask, since: datetime) -> None:
    VideoTask.objects.filter(pk=task.pk, trouble_since=None).update(trouble_since=since)
    task.trouble_since = since


def _stop_polling(task: VideoTask) -> None:
    # A task whose verdict is known keeps its `provider_done_at`, because that time has been counted already.
    VideoTask.objects.filter(pk=task.pk, status=Status.FAILED, provider_done_at=None, settled_by="").update(
        provider_done_at=clock.database_now()
    )
    task_alerts.resolve_all(task.reference)


def _set_due(task: VideoTask, at: datetime) -> None:
    # If a callback has made the task due meanwhile, do not postpone it.
    VideoTask.objects.filter(pk=task.pk, status=task.status).filter(Q(due_at__gt=clock.database_now())).update(
        due_at=at
    )


def _verdict_source(task: VideoTask) -> str:
    """What led to the verdict: "callback", "poll" or "repair".

    "repair" means that the task was already refunded, or was adopted: its id was found by a callback (`adoption`).
    """
    if task.status == Status.FAILED or task.events.filter(kind=TaskEvent.Kind.ADOPTED).exists():
        return "repair"
    return "callback" if _has_callback(task) else "poll"


def _has_callback(task: VideoTask) -> bool:
    return task.callbacks.exclude(
        verdict__in=[CallbackReceipt.Verdict.MALFORMED, CallbackReceipt.Verdict.REJECTED]
    ).exists()


def _callbacks_are_rare() -> bool:
    """Whether more than a fifth of the last ten verdicts came without a callback; tasks are then polled more often."""
    sources = list(
        VideoTask.objects.exclude(settled_by="").order_by("-created_at").values_list("settled_by", flat=True)[:10]
    )
    return not sources or sources.count("poll") > 0.2 * len(sources)

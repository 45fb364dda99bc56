"""Asking the provider for verdicts: callbacks and polls end here, in `look` and then in `settle`."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from accounts.seams import clock, failpoints, randomness
from billing.alerts import services as alerts
from billing.guard import circuit_breaker
from billing.provider.accounts import NoProviderKey
from videos import job_queue
from videos.lifecycle import acts as lifecycle
from videos.lifecycle import alerts as task_alerts
from videos.lifecycle import verdicts
from videos.models import CallbackReceipt, TaskEvent, VideoTask
from videos.pipeline import adoption, concurrency
from videos.pipeline.clients import asking_client_for
from videos.providers import errors
from videos.providers.base import Report, ReportState

log = logging.getLogger(__name__)

Status = VideoTask.Status

MOST_PER_JOB = 200
# Longer than a question may take; a look of a killed worker is done again soon after.
LOOK_LEASE = timedelta(seconds=30)
SOFT_DEADLINE = timedelta(minutes=15)
UNCONFIRMED_ALERT = timedelta(minutes=15)
UNCONFIRMED_REFUND = timedelta(minutes=60)
# A success without URLs, or an answer we cannot read, is asked about for so long before a person is told it is final.
NO_URLS_PATIENCE = timedelta(minutes=30)
NOT_VISIBLE_ALERT = timedelta(minutes=10)
LATE_WATCH = timedelta(days=1)


def hard_deadline() -> timedelta:
    """How long after its sending a task without a verdict is refunded."""
    return timedelta(hours=settings.HARD_DEADLINE_HOURS)


def poll_due(*, most: int = MOST_PER_JOB) -> int:
    """Look at every task that is due; returns how many."""
    return concurrency.each(look, _claim_due(most))


def due() -> Q:
    """Which tasks a poll looks at: at the provider, or lost, or refunded while their result may still come."""
    running = Q(status__in=[Status.GENERATING, Status.UNCONFIRMED])
    late = Q(status=Status.FAILED, late_at=None, account__isnull=False, provider_done_at=None) & Q(
        failure_code__in=["unconfirmed", "deadline", "operator", "no_file"]
    )
    return running | late


def look(task: VideoTask) -> None:
    """Ask about one task and settle it from the answer. Safe to run twice, and at any time."""
    if task.account is None:
        return
    try:
        client = asking_client_for(task.account)
    except NoProviderKey as problem:
        alerts.raise_alert(alerts.Kind.ACCESS_DENIED, cause=task.account.cause, facts=problem.facts)
        return
    try:
        if task.provider_task_id is None:
            if not adoption.adopt(task=task, client=client):
                _wait_for_callback(task)
                return
            task.refresh_from_db()
        assert task.provider_task_id is not None  # noqa: S101  adopted a line above
        report = client.report(task.provider_task_id)
    except errors.NotVisible as unseen:
        _not_visible(task, unseen)
    except errors.ProviderError as trouble:
        _trouble(task, trouble)
    else:
        circuit_breaker.record_success(task.account.pk, call=circuit_breaker.Call.POLL)
        failpoints.reach("poll.answered")
        settle(task, report)


def settle(task: VideoTask, report: Report) -> None:
    """Carry the provider's verdict to the task: the one end of callbacks and polls."""
    source = _source(task)
    if report.state == ReportState.SUCCEEDED and report.result_urls:
        if verdicts.provider_done(task_id=task.pk, report=report, source=source):
            failpoints.reach("poll.settled")
            job_queue.enqueue("download")
    elif report.state == ReportState.FAILED:
        if not verdicts.failed(task_id=task.pk, report=report, source=source):
            _stop_watching(task)
    elif report.state == ReportState.SUCCEEDED:
        _odd(task, "success without a file", give_up_as="no_file", say="odd_no_file")
    elif report.state == ReportState.UNCLEAR:
        oddities = ", ".join(report.oddities)
        _odd(task, f"an unknown verdict: {oddities}", give_up_as="", say="odd_verdict", words=oddities)
    else:
        VideoTask.objects.filter(pk=task.pk).update(trouble_since=None)
        _look_again(task)


def _claim_due(most: int) -> list[VideoTask]:
    """Take due tasks, each for this job alone for a while, by moving their due time."""
    at = clock.database_now()
    taken = []
    for task in VideoTask.objects.filter(due(), due_at__lte=at).select_related("account").order_by("due_at")[:most]:
        if VideoTask.objects.filter(pk=task.pk, due_at=task.due_at, status=task.status).update(
            due_at=at + LOOK_LEASE, poll_attempts=task.poll_attempts + 1
        ):
            task.poll_attempts += 1
            taken.append(task)
    return taken


def _look_again(task: VideoTask) -> None:
    """Set the next look by how long it has been: often around the usual time, rarely when late; past the end, give up."""
    at = clock.database_now()
    since = task.submitted_at or task.created_at
    age = at - since
    if task.status == Status.FAILED:
        if age > hard_deadline() + LATE_WATCH:
            _stop_watching(task)
        else:
            _due(task, at + timedelta(hours=1))
        return
    if age >= hard_deadline():
        lifecycle.given_up(
            task_id=task.pk,
            from_=task.status,
            code="deadline",
            detail=f"no verdict within {settings.HARD_DEADLINE_HOURS:g} hours",
        )
        return
    if age >= SOFT_DEADLINE:
        if lifecycle.delayed(task_id=task.pk):
            task_alerts.tell(task, alerts.Kind.DELAYED)
        _due(task, at + timedelta(seconds=randomness.jitter(300)))
        return
    gap_s = min(3.0 * 1.3 ** min(task.poll_attempts, 20), 15.0 if _callbacks_are_rare() else 30.0)
    _due(task, at + timedelta(seconds=randomness.jitter(gap_s)))


def _wait_for_callback(task: VideoTask) -> None:
    """An unconfirmed task without a usable callback: alert after a while, then refund. Never sent again."""
    if task.status != Status.UNCONFIRMED:
        _look_again(task)
        return
    at = clock.database_now()
    since = task.submitted_at or task.created_at
    if at - since >= UNCONFIRMED_REFUND:
        lifecycle.given_up(
            task_id=task.pk, from_=Status.UNCONFIRMED, code="unconfirmed", detail="no callback within an hour"
        )
        return
    if at - since >= UNCONFIRMED_ALERT:
        task_alerts.tell(task, alerts.Kind.UNCONFIRMED)
    next_step = since + (UNCONFIRMED_ALERT if at - since < UNCONFIRMED_ALERT else UNCONFIRMED_REFUND)
    _due(task, next_step)


def _not_visible(task: VideoTask, unseen: errors.NotVisible) -> None:
    """The provider does not know it (yet): a person is told after ten minutes; nobody is refunded for it alone."""
    since = task.trouble_since or clock.database_now()
    _mark_trouble(task, since)
    if clock.database_now() - since >= NOT_VISIBLE_ALERT:
        task_alerts.tell(task, alerts.Kind.NOT_VISIBLE, detail=unseen.detail)
    _look_again_or_wait(task)


def _trouble(task: VideoTask, trouble: errors.ProviderError) -> None:
    """No answer: the task stays where it is, and only the breaker hears of a sick provider."""
    if task.account is not None and trouble.status is not None and trouble.status >= 500:
        circuit_breaker.record_failure(task.account.pk, detail=trouble.detail, call=circuit_breaker.Call.POLL)
    if isinstance(trouble, errors.AccessDenied) and task.account is not None:
        alerts.raise_alert(alerts.Kind.ACCESS_DENIED, cause=task.account.cause, detail=trouble.detail)
    _look_again_or_wait(task)


def _look_again_or_wait(task: VideoTask) -> None:
    """Ask again soon while callbacks wait to be proved; otherwise as usual."""
    age = clock.database_now() - (task.submitted_at or task.created_at)
    if task.provider_task_id is None and age < hard_deadline() and adoption.pending_names(task):
        # A callback that we answered with 200 is looked into before anybody is refunded.
        _due(task, clock.database_now() + timedelta(seconds=randomness.jitter(5)))
    elif task.provider_task_id is None:
        _wait_for_callback(task)
    else:
        _look_again(task)


def _odd(task: VideoTask, what: str, *, give_up_as: str, say: str, words: str = "") -> None:
    """An answer that is no verdict: asked again; told to a person; final only where a success brings no file for long."""
    since = task.trouble_since or clock.database_now()
    _mark_trouble(task, since)
    task_alerts.tell(task, alerts.Kind.ODD_ANSWER, facts={"say": [say], "words": words})
    if give_up_as and clock.database_now() - since >= NO_URLS_PATIENCE and task.status == Status.GENERATING:
        lifecycle.given_up(task_id=task.pk, from_=Status.GENERATING, code=give_up_as, detail=what)
        return
    _look_again(task)


def _mark_trouble(task: VideoTask, since: datetime) -> None:
    VideoTask.objects.filter(pk=task.pk, trouble_since=None).update(trouble_since=since)
    task.trouble_since = since


def _stop_watching(task: VideoTask) -> None:
    # Who has a verdict is not watched; its time at the provider must stay what was counted.
    VideoTask.objects.filter(pk=task.pk, status=Status.FAILED, provider_done_at=None, settled_by="").update(
        provider_done_at=clock.database_now()
    )
    task_alerts.at_rest(task.reference)


def _due(task: VideoTask, at: datetime) -> None:
    # Never later than a callback already asked for.
    VideoTask.objects.filter(pk=task.pk, status=task.status).filter(Q(due_at__gt=clock.database_now())).update(
        due_at=at
    )


def _source(task: VideoTask) -> str:
    """How the verdict came: a callback told us to look, or we asked unasked; or it mends what was lost or given up."""
    if task.status == Status.FAILED or task.events.filter(kind=TaskEvent.Kind.ADOPTED).exists():
        return "repair"
    return "callback" if _was_called(task) else "poll"


def _was_called(task: VideoTask) -> bool:
    return task.callbacks.exclude(
        verdict__in=[CallbackReceipt.Verdict.MALFORMED, CallbackReceipt.Verdict.REJECTED]
    ).exists()


def _callbacks_are_rare() -> bool:
    """Whether more than a fifth of the last ten verdicts came without a callback: then we ask more often."""
    last = list(
        VideoTask.objects.exclude(settled_by="").order_by("-created_at").values_list("settled_by", flat=True)[:10]
    )
    return not last or last.count("poll") > 0.2 * len(last)

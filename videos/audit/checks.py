"""Checks of videos against their money and events: invariants I3, I5, I6, I8, I10, I12 to I14, I22 and I23.

An invariant is a rule that the stored data must always keep; its number (such as I3) names it in reports. Stored files
(I7, I15) are checked in `videos.audit.files`. A `Spend` row holds what a video costs us at the provider: *estimated*
until the video is sent, *promised* while provider credits are reserved for it, and *settled* when the cost is known.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from uuid import UUID

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, Window
from django.db.models.functions import Coalesce, Lag

from accounts.seams import clock
from billing.audit.runner import Problem, TriggerNames, find_missing_triggers, register_check
from billing.common.periods import window_at
from billing.models import Alert, GroupedJob, LedgerEntry, PaidCall, Period, Spend
from videos.audit import recount
from videos.audit.files import check_all_files, check_some_files
from videos.lifecycle import deadlines
from videos.lifecycle.transitions import reference_of
from videos.models import CallbackReceipt, TaskEvent, VideoTask
from videos.ordering import queue

# At most this many differing totals are listed; `manage.py recount_totals` lists all.
MAX_REPORTED = 20


def totals_equal_rows(*, deep: bool) -> Iterable[Problem]:
    """I23: the stored totals equal a recount of the rows. Checks today and yesterday, or with `deep` all time.

    A month is skipped until the worker has built its totals (`videos.audit.recount`).
    """
    today = window_at(Period.DAY, clock.now())
    periods = [(window_at(Period.DAY, today.starts_at - timedelta(hours=1)).starts_at, today.ends_at)]
    if deep:
        periods = [(month.starts_at, month.ends_at) for month in recount.list_months()]
    missing = [(month.starts_at, month.ends_at) for month in recount.list_missing_months()]
    for since, until in periods:
        if any(starts_at < until and since < ends_at for starts_at, ends_at in missing):
            continue
        for difference in islice(recount.find_differences(since, until), MAX_REPORTED):
            period, period_start = difference.key[:2]
            yield Problem("I23", f"total of {period} {period_start:%Y-%m-%d %H:%M}", str(difference))


Status = VideoTask.Status
Kind = LedgerEntry.Kind

# The database triggers that enforce I13 and I14; the checks report one that is missing.
TRIGGERS: dict[str, TriggerNames] = {
    "I13": {"postgresql": ("veoapp_task_history",), "sqlite": ("veoapp_task_provider_id",)},
    "I14": {
        "postgresql": ("veoapp_task_history", "veoapp_event_no_change"),
        "sqlite": ("veoapp_task_final", "veoapp_event_no_change"),
    },
}
# The task statuses that belong to each spend state.
SPEND_STATES = {
    Spend.State.ESTIMATED: [Status.QUEUED],
    Spend.State.PROMISED: [Status.SUBMITTING, Status.UNCONFIRMED, Status.GENERATING],
    Spend.State.SETTLED: [Status.DOWNLOADING, Status.READY, Status.FAILED, Status.CANCELLED],
}
# The worker needs some time after a deadline to act on it.
SLACK = timedelta(minutes=10)
# A failing download raises an alert after its fifth attempt, within this time.
DOWNLOAD_ALERT_AFTER = timedelta(hours=1)
# Maximum number of values in one `IN (...)`.
BATCH_SIZE = 500

register_check(check_all_files, frequent=check_some_files)
register_check(totals_equal_rows)


@register_check
def charged_and_refunded(*, deep: bool) -> Iterable[Problem]:
    """I3: every task was charged its price, and was refunded if and only if it failed or was cancelled."""
    charged = LedgerEntry.objects.filter(
        job_id=OuterRef("pk"),
        kind=Kind.CHARGE,
        account__user=OuterRef("user"),
        amount=OuterRef("user_credits") * -1,
    )
    refunded = LedgerEntry.objects.filter(kind=Kind.REFUND, reverses__job_id=OuterRef("pk"))
    tasks = VideoTask.objects.annotate(charged=Exists(charged), refunded=Exists(refunded))
    ended_without_video = Q(status__in=[Status.FAILED, Status.CANCELLED])
    inconsistent = Q(charged=False) | ended_without_video & Q(refunded=False) | ~ended_without_video & Q(refunded=True)
    for task, status, was_charged, was_refunded in tasks.filter(inconsistent).values_list(
        "pk", "status", "charged", "refunded"
    ):
        text = f"{'charged' if was_charged else 'not charged'}, {'refunded' if was_refunded else 'not refunded'}"
        yield Problem("I3", f"video:{task}", f"{status}: {text}")


@register_check
def sent_once(*, deep: bool) -> Iterable[Problem]:
    """I5: a task that the provider accepted has an accepted paid call (a record of a request that costs us)."""
    accepted = PaidCall.objects.filter(spend__job_id=OuterRef("pk"), outcome=PaidCall.Outcome.ACCEPTED)
    known = VideoTask.objects.filter(status__in=[Status.GENERATING, Status.DOWNLOADING, Status.READY])
    yield from _report_tasks("I5", known.filter(~Exists(accepted)), "at the provider without an accepted paid call")


@register_check
def spend_follows_status(*, deep: bool) -> Iterable[Problem]:
    """I6: the spend is estimated while the task is queued, promised while the provider has it, settled afterwards."""
    rows = Spend.objects.filter(job_id=OuterRef("pk"), user=OuterRef("user"))
    rows = rows.filter(user_credits=OuterRef("user_credits"))
    tasks = VideoTask.objects.annotate(spend_state=Coalesce(Subquery(rows.values("state")[:1]), Value("no")))
    expected = Q()
    for state, statuses in SPEND_STATES.items():
        expected |= Q(spend_state=state, status__in=statuses)
    for task, status, state in tasks.exclude(expected).values_list("pk", "status", "spend_state"):
        yield Problem("I6", f"video:{task}", f"{status} with {state} spend")


@register_check
def successes_kept(*, deep: bool) -> Iterable[Problem]:
    """I8: every result of the provider is stored, or an alert about it was raised.

    While an alert about the storage itself is open, nothing is reported, because operators know the cause.
    """
    if Alert.objects.filter(kind=Alert.Kind.STORAGE, resolved_at=None).exists():
        return
    waiting = Q(status=Status.DOWNLOADING, provider_done_at__lt=clock.database_now() - DOWNLOAD_ALERT_AFTER)
    tasks = VideoTask.objects.filter(waiting | Q(status=Status.FAILED, failure_code="no_file", late_at=None))
    yield from _report_without_alert("I8", tasks, "generated, not stored, and not reported to operators")


@register_check
def callbacks_honoured(*, deep: bool) -> Iterable[Problem]:
    """I10: a callback that was received in time is processed before its task is given up as unconfirmed.

    An operator may give a task up earlier, and after the hard deadline (`videos.lifecycle.deadlines`) every task is.
    """
    unprocessed = CallbackReceipt.objects.filter(
        task=OuterRef("pk"), verdict=CallbackReceipt.Verdict.PENDING, received_at__lt=OuterRef("finished_at")
    ).exclude(provider_task_id="")
    by_operator = TaskEvent.objects.filter(task=OuterRef("pk"), kind=TaskEvent.Kind.FAILED, actor__isnull=False)
    tasks = VideoTask.objects.filter(
        Exists(unprocessed), ~Exists(by_operator), status=Status.FAILED, failure_code="unconfirmed"
    )
    early = tasks.filter(finished_at__lt=F("submitted_at") + deadlines.hard_deadline())
    yield from _report_tasks("I10", early, "given up as unconfirmed with a callback unread")


@register_check
def deadlines_kept(*, deep: bool) -> Iterable[Problem]:
    """I12: no task stays in a status past its deadline without an alert."""
    at = clock.database_now()
    late = (
        Q(pk__in=queue.list_overdue(at - SLACK).values("pk"))
        | Q(status=Status.SUBMITTING, lease_until__lt=at - SLACK)
        | Q(status=Status.UNCONFIRMED, submitted_at__lt=at - deadlines.UNCONFIRMED_ALERT_AFTER - SLACK)
        | Q(status=Status.GENERATING, submitted_at__lt=at - deadlines.SOFT_DEADLINE - SLACK)
    )
    yield from _report_without_alert(
        "I12", VideoTask.objects.filter(late), "past its deadline, and not reported to operators"
    )


@register_check
def provider_ids(*, deep: bool) -> Iterable[Problem]:
    """I13: a provider task ID belongs to one task of ours and never changes."""
    yield from find_missing_triggers(invariant="I13", names=TRIGGERS["I13"])
    known = VideoTask.objects.exclude(provider_task_id=None).order_by().values("provider_task_id")
    for name, tasks in known.annotate(tasks=Count("pk")).filter(tasks__gt=1).values_list("provider_task_id", "tasks"):
        yield Problem("I13", str(name), f"the provider's task of {tasks} of ours")


@register_check
def histories(*, deep: bool) -> Iterable[Problem]:
    """I14: a task's events lead step by step to its status, and none leaves a final status."""
    yield from find_missing_triggers(invariant="I14", names=TRIGGERS["I14"])
    steps = TaskEvent.objects.exclude(to_status="")
    before = Coalesce(Window(Lag("to_status"), partition_by="task", order_by="id"), Value(""))
    inconsistent = steps.order_by().annotate(expected=before).exclude(from_status=F("expected"))
    for task, status, expected in inconsistent.values_list("task", "from_status", "expected"):
        yield Problem("I14", f"video:{task}", f"a step from {status or 'nothing'} after {expected or 'nothing'}")
    for task, status in steps.filter(from_status__in=VideoTask.FINAL).values_list("task", "from_status"):
        yield Problem("I14", f"video:{task}", f"a step out of {status}")
    last = steps.filter(task=OuterRef("pk")).order_by("-id").values("to_status")[:1]
    tasks = VideoTask.objects.annotate(last_status=Coalesce(Subquery(last), Value(""))).exclude(status=F("last_status"))
    for task, status, last_status in tasks.values_list("pk", "status", "last_status"):
        yield Problem("I14", f"video:{task}", f"{status}, but its events end at {last_status or 'nothing'}")


@register_check
def causes(*, deep: bool) -> Iterable[Problem]:
    """I22: a charge or refund names a video that exists."""
    tasks = VideoTask.objects.filter(pk=OuterRef("job_id"))
    jobs = LedgerEntry.objects.filter(~Exists(tasks), kind__in=[Kind.CHARGE, Kind.REFUND])
    for pk, kind, reference in jobs.values_list("pk", "kind", "reference"):
        yield Problem("I22", f"ledger entry {pk}", f"{kind} for {reference or 'nothing'}, which is no video")


def _report_tasks(invariant: str, tasks: QuerySet[VideoTask], text: str) -> Iterable[Problem]:
    for task, status in tasks.values_list("pk", "status"):
        yield Problem(invariant, f"video:{task}", f"{status}: {text}")


def _report_without_alert(invariant: str, tasks: QuerySet[VideoTask], text: str) -> Iterator[Problem]:
    """A problem for each of these tasks that no alert refers to.

    After many alerts of one kind, further tasks share one grouped alert; each then has a `GatheredCause` row.
    """
    for rows in _batches(tasks.values_list("pk", "status").iterator()):
        references = [reference_of(task) for task, _status in rows]
        reported = {
            reference
            for model in (Alert, GroupedJob)
            for reference in model._default_manager.filter(reference__in=references).values_list("reference", flat=True)
        }
        for task, status in rows:
            if reference_of(task) not in reported:
                yield Problem(invariant, reference_of(task), f"{status}: {text}")


def _batches(rows: Iterator[tuple[UUID, str]]) -> Iterator[list[tuple[UUID, str]]]:
    while batch := list(islice(rows, BATCH_SIZE)):
        yield batch

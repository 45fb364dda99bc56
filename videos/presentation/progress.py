"""Progress of a task: what it waits for, and how far it probably is, estimated from typical times."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from accounts.seams import clock
from billing.guard import checks as guard_checks
from billing.guard import wait_reasons
from billing.models import ProviderAccount, Spend
from billing.provider import accounts as provider_accounts
from videos.lifecycle import deadlines
from videos.models import VideoTask
from videos.ordering import queue
from videos.ordering.typical_times import TypicalTime, typical_time

Status = VideoTask.Status

# The highest percentage before the file is stored; 100 means that the video can be played.
MAX_PERCENT = 90
# An operator ends these waits, so their end cannot be estimated.
MANUAL_WAITS = ("paused", "held", "out_of_credits", "access_denied", "balance")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A task's progress at one moment. `percent` is 0..90 until the file is stored, then 100."""

    status: str
    percent: int
    elapsed_s: float  # since it was sent, or since it was ordered if it was not sent yet
    typical: TypicalTime
    is_live: bool
    is_delayed: bool = False
    # Queued tasks only, down to `starts_in_s`; the codes are those of `billing.guard.wait_reasons`.
    wait_code: str = ""
    wait_reason: Promise | str = ""
    wait_until: datetime | None = None
    resumes_at: datetime | None = None  # when the next period of a used-up budget begins
    own_ahead: int = 0  # earlier queued videos of the same user
    all_ahead: int = 0  # earlier queued videos of all users
    starts_in_s: float | None = None
    alert_at: datetime | None = None  # unconfirmed: when operators are alerted
    refund_at: datetime | None = None  # unconfirmed: when the task is given up and refunded


def measure_progress(task: VideoTask, *, at: datetime | None = None) -> Progress:
    """The task's progress at `at` (now unless given)."""
    at = at or clock.now()
    typical = typical_time(task.model)
    if task.status == Status.QUEUED:
        return _measure_waiting(task, at, typical)
    since = task.submitted_at or task.created_at
    elapsed_s = max(0.0, ((task.provider_done_at or task.finished_at or at) - since).total_seconds())
    if task.status == Status.READY:
        percent = 100
    elif task.is_final:
        percent = 0
    elif task.status == Status.DOWNLOADING:
        percent = MAX_PERCENT
    else:
        percent = min(MAX_PERCENT, round(100 * elapsed_s / max(typical.p50_s, 1.0)))
    is_unconfirmed = task.status == Status.UNCONFIRMED
    return Progress(
        status=task.status,
        percent=percent,
        elapsed_s=elapsed_s,
        typical=typical,
        is_live=not task.is_final,
        is_delayed=task.delayed_at is not None,
        alert_at=since + deadlines.UNCONFIRMED_ALERT_AFTER if is_unconfirmed else None,
        refund_at=since + deadlines.UNCONFIRMED_REFUND_AFTER if is_unconfirmed else None,
    )


def _measure_waiting(task: VideoTask, at: datetime, typical: TypicalTime) -> Progress:
    own_ahead, all_ahead = queue.count_ahead(task)
    wait = _find_wait(task, at)
    queue_wait_s = queue.expected_wait_s(all_ahead)
    starts_in_s: float | None = queue_wait_s
    if wait is not None and wait.code in MANUAL_WAITS:
        starts_in_s = None
    elif wait is not None and wait.code not in ("slot", "own_slot", "rate"):
        starts_in_s = max(queue_wait_s, ((wait.ends_at or wait.until) - at) / timedelta(seconds=1))
    return Progress(
        status=task.status,
        percent=0,
        elapsed_s=max(0.0, (at - task.created_at).total_seconds()),
        typical=typical,
        is_live=True,
        wait_code=wait.code if wait else "",
        wait_reason=_describe_wait(wait) if wait else "",
        wait_until=(wait.ends_at or wait.until) if wait else None,
        resumes_at=wait.ends_at if wait else None,
        own_ahead=own_ahead,
        all_ahead=all_ahead,
        starts_in_s=starts_in_s,
    )


def _find_wait(task: VideoTask, at: datetime) -> guard_checks.Wait | None:
    """What a queued task waits for: the stored reason until it is due, then the result of the checks before sending."""
    # `wait_until` is not used here: it may be far away although an operator has raised the budget since.
    if task.wait_code and task.due_at > at:
        ends_at = task.wait_until if task.wait_until != task.due_at else None
        return guard_checks.Wait(task.wait_code, task.due_at, ends_at=ends_at)
    try:
        account: ProviderAccount = provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        return guard_checks.Wait("access_denied", at + timedelta(minutes=1))
    running = queue.count_running_by_user()
    return guard_checks.check_dispatch(
        estimate=Spend.objects.get(job_id=task.pk),
        account=account,
        running=sum(running.values()),
        running_of_user=running.get(task.user_id, 0),
    )


def _describe_wait(wait: guard_checks.Wait) -> Promise | str:
    """The wait reason as a text for the owner; for a pause, the reason that the operator gave."""
    if wait.code == "paused":
        return _("new videos are paused: %(reason)s") % {
            "reason": provider_accounts.format_pause_reason(provider_accounts.get_current_account())
        }
    return wait_reasons.OWNER_TEXTS.get(wait.code, "")

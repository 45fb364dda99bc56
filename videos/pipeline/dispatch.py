"""Sending waiting videos to the provider: choose the next fairly, claim it under the guard, POST once, write down the answer.

Claims are made one at a time, under the provider account's lock; the POSTs themselves may run side by side.
"""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.urls import reverse

from accounts.seams import clock, failpoints, randomness
from billing.alerts import services as alerts
from billing.budgets import alerts as budget_alerts
from billing.budgets import usage as budget_usage
from billing.costs import spend
from billing.guard import checks as guard_checks
from billing.guard import circuit_breaker, user_holds
from billing.guard.checks import Wait
from billing.models import ProviderAccount, Spend
from billing.provider import accounts as provider_accounts
from videos.lifecycle import acts as lifecycle
from videos.models import UserTurn, VideoTask
from videos.ordering import queue
from videos.ordering.typical_times import typical_time
from videos.pipeline import balances as provider_balances
from videos.pipeline import concurrency
from videos.pipeline.clients import client_for
from videos.providers import errors
from videos.providers.base import GenerationType, Provider, VideoRequest
from videos.storage import source_images

log = logging.getLogger(__name__)

# One job sends at most so many, so that it ends well within its time; the bell is rung again for the rest.
MOST_PER_JOB = 40
# So many times one claim looks past tasks that wait for a budget; those are held back in bulk, by budget.
MOST_LOOKS = 100
RATE_LIMITED_FIRST_S = 11.0


@dataclass(frozen=True)
class Claim:
    """A claimed task, and the secret of its callback address, which is nowhere written down."""

    task: VideoTask
    token: str

    def __repr__(self) -> str:
        return f"Claim({self.task.pk})"


def dispatch_due(*, most: int = MOST_PER_JOB) -> int:
    """Send what may be sent now; returns how many requests were sent."""
    try:
        account = provider_accounts.get_current_account()
        client = client_for(account)
    except provider_accounts.NoProviderKey as problem:
        alerts.raise_alert(alerts.Kind.ACCESS_DENIED, cause="no key", facts=problem.facts)
        return 0
    if not _look_before(account, client):
        return 0

    def claims() -> Iterator[Claim]:
        for _ in range(most):
            claim = _claim_next_prepared(account, client)
            if claim is None:
                return
            yield claim

    # No more at once than may fail before the breaker opens: the first answers decide about the next claims.
    return concurrency.each(lambda claim: submit(claim, client), claims(), at_once=settings.BREAKER_FAILURES)


def claim_next(account_id: int) -> Claim | VideoTask | Wait | None:
    """The next fair task: claimed; or unclaimed, when its images must go first; or why all wait; or None when none waits."""
    for _ in range(MOST_LOOKS):
        step = _claim_fair(account_id)
        if not isinstance(step, Wait) or step.spent is None:
            break
        # Who does not fit waits, and loses no time to those who do: smaller ones, other users', other models'.
        budget_alerts.raise_spent_alert(step.spent)
        jobs = budget_usage.jobs_without_room(step.spent, above_limit=step.code == guard_checks.ABOVE_LIMIT)
        lifecycle.all_held_back(task_ids=jobs.values_list("job_id", flat=True), wait=step)
        if budget_usage.blocks_every_job(step.spent):
            break
    if isinstance(step, Wait) and step.code == guard_checks.SLOWED:
        lifecycle.all_told(wait=step)
    return step


def _claim_fair(account_id: int) -> Claim | VideoTask | Wait | None:
    """The same for the one whose turn it is; a Wait with a spent budget is its own, not everybody's."""
    with transaction.atomic():
        provider = provider_accounts.lock_account(account_id)
        at = clock.database_now()
        running = queue.count_running_by_user()
        busy = [user for user, count in running.items() if count >= settings.MAX_CONCURRENT_PER_USER]
        task = (
            VideoTask.objects.filter(status=VideoTask.Status.QUEUED, due_at__lte=at)
            .exclude(user_id__in=busy)
            .exclude(user__in=user_holds.active_holds().values("user"))
            .order_by(F("user__turn__last_served_at").asc(nulls_first=True), "created_at")
            .first()
        )
        if task is None:
            return None
        estimate = Spend.objects.get(job_id=task.pk)
        wait = guard_checks.check_dispatch(
            estimate=estimate,
            provider=provider,
            running=sum(running.values()),
            running_of_user=running.get(task.user_id, 0),
        )
        if wait is not None:
            return wait
        if not source_images.are_at_provider(task=task, account_id=account_id):
            lifecycle.held_back(task_id=task.pk, wait=Wait("images", at + timedelta(seconds=90)))
            return task
        token = randomness.token()
        try:
            with transaction.atomic():
                claimed = lifecycle.claim(task_id=task.pk, account_id=account_id, token_hash=token_hash(token))
                if claimed is None:
                    return None
                spend.promise(spend=estimate, account=provider)
        except budget_usage.BudgetSpent as refusal:
            # Read with room a moment ago, and taken since by what was settled or sent elsewhere.
            return guard_checks.budget_wait(refusal.state, estimate=estimate, at=at)
        if provider.breaker != circuit_breaker.State.CLOSED:
            circuit_breaker.start_probe(provider)
        UserTurn.objects.update_or_create(user_id=task.user_id, defaults={"last_served_at": at})
    failpoints.reach("submit.claimed")
    return Claim(claimed, token)


def submit(claim: Claim, client: Provider) -> None:
    """POST once and write down what came of it. Whatever happens here, the task is never sent again unless nothing was begun."""
    task = claim.task
    if not lifecycle.may_be_sent(task_id=task.pk, fence=task.fence):
        # Whoever slept past the lease must not pay for a task that others count as lost, and may have refunded.
        wait = Wait("not_sent", clock.database_now())
        lifecycle.requeued(task_id=task.pk, fence=task.fence, wait=wait, detail="the worker that had it slept")
        return
    try:
        provider_task_id = client.submit(_request(claim))
    except errors.Refused as refusal:
        lifecycle.refused(task_id=task.pk, fence=task.fence, reason=refusal.reason, detail=refusal.detail)
        _well(task)
    except errors.NotSent as trouble:
        _not_sent(task, trouble)
    except errors.ProviderError as trouble:
        failpoints.reach("submit.answered")
        # The breaker hears of it before the call stops counting as under way: in between, others could go.
        _ill(task, trouble)
        lifecycle.unconfirmed(task_id=task.pk, fence=task.fence, detail=trouble.detail)
    else:
        failpoints.reach("submit.answered")
        usual_s = typical_time(task.model).p50_s
        called_already = task.callbacks.exists()
        lifecycle.accepted(
            task_id=task.pk,
            fence=task.fence,
            provider_task_id=provider_task_id,
            due_in_s=0 if called_already else min(usual_s, settings.FIRST_POLL_AT_MOST_S),
        )
        failpoints.reach("submit.recorded")
        _well(task)


def token_hash(token: str) -> str:
    """What we keep of a callback's secret."""
    return hashlib.sha256(token.encode()).hexdigest()


def callback_url(task_id: UUID, token: str) -> str:
    """Where the provider calls back for this task: the one documented secret in an address."""
    base: str = settings.CALLBACK_BASE_URL
    return base + reverse("videos:callback", args=[task_id, token])


def _look_before(account: ProviderAccount, client: Provider) -> bool:
    """Read the balance when it is old, or as the free half of a probe when the breaker is open; False: not now."""
    at = clock.database_now()
    resting = account.breaker != circuit_breaker.State.CLOSED
    if resting and account.breaker_until is not None and account.breaker_until > at:
        return False
    fresh_for = min(provider_accounts.BALANCE_FRESH_FOR / 2, provider_balances.reading_interval())
    aged = account.balance_at is None or at - account.balance_at > fresh_for
    # Once after each rest: while something else holds all up (a pause, a budget), the provider is not asked each second.
    unproved = resting and (
        account.balance_at is None or account.breaker_until is None or account.balance_at < account.breaker_until
    )
    return provider_balances.read(account, client).trouble is None if aged or unproved else True


def _claim_next_prepared(account: ProviderAccount, client: Provider) -> Claim | None:
    step = claim_next(account.pk)
    while isinstance(step, VideoTask):
        _send_images(step, account, client)
        step = claim_next(account.pk)
    return step if isinstance(step, Claim) else None


def _send_images(task: VideoTask, account: ProviderAccount, client: Provider) -> None:
    try:
        source_images.send_to_provider(task=task, account_id=account.pk, client=client)
    except errors.ProviderError as trouble:
        log.warning("images of %s could not be sent: %s", task.pk, trouble.detail)
        until = clock.database_now() + timedelta(seconds=randomness.jitter(30))
        lifecycle.held_back(task_id=task.pk, wait=Wait("images", until))
    else:
        lifecycle.held_back(task_id=task.pk, wait=Wait("", clock.database_now()))


def _request(claim: Claim) -> VideoRequest:
    task = claim.task
    return VideoRequest(
        prompt=task.prompt,
        model=task.model,
        aspect_ratio=task.aspect_ratio,
        resolution=task.resolution,
        duration_s=task.duration_s,
        generation_type=GenerationType(task.generation_type),
        image_urls=source_images.provider_urls(task=task),
        callback_url=callback_url(task.pk, claim.token),
        seed=task.seed,
        watermark=task.watermark,
        enable_translation=task.enable_translation,
    )


def _not_sent(task: VideoTask, trouble: errors.NotSent) -> None:
    doubled = 2 ** min(task.submit_attempts - 1, 10)
    waits_s = {
        errors.RateLimited: RATE_LIMITED_FIRST_S * doubled,
        errors.Unavailable: 120.0 * doubled,
        errors.OutOfCredits: 30.0,
        errors.AccessDenied: 30.0,
    }
    wait_s = min(waits_s.get(type(trouble), 5.0 * doubled), 900.0)
    # Only ever later: a rate window must have passed whole.
    until = clock.database_now() + timedelta(seconds=wait_s + randomness.jitter(wait_s * 0.2, 1.0))
    if isinstance(trouble, errors.OutOfCredits | errors.AccessDenied):
        provider_accounts.park_account(
            account_id=_account_id(task), parked_as=ProviderAccount.Parked(trouble.code), detail=trouble.detail
        )
    if isinstance(trouble, errors.OutOfCredits | errors.AccessDenied | errors.RateLimited):
        # It answered in words of its own: whoever sent this as a probe has shown that it is well.
        _well(task)
    else:
        _ill(task, trouble, at_once=isinstance(trouble, errors.Unavailable))
    lifecycle.requeued(task_id=task.pk, fence=task.fence, wait=Wait(trouble.code, until), detail=trouble.detail)


def _well(task: VideoTask) -> None:
    circuit_breaker.record_success(_account_id(task))


def _ill(task: VideoTask, trouble: errors.ProviderError, *, at_once: bool = False) -> None:
    circuit_breaker.record_failure(_account_id(task), detail=trouble.detail, at_once=at_once)


def _account_id(task: VideoTask) -> int:
    assert task.account_id is not None, "a claimed task has an account"  # noqa: S101  an invariant that stays on in production
    return task.account_id

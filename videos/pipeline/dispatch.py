"""Sends waiting videos to the provider: chooses the next one fairly, claims it, sends one POST and records the response.

A claim reserves a task for this worker for a limited time (the lease) and reserves its estimated cost. Claims are made
one at a time, with the provider account locked and after the checks of `billing.guard`; the POSTs may run in parallel.
One of these checks is the circuit breaker: it "opens" after repeated errors of the provider, and while it is open
nothing is sent.
"""

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
from videos.lifecycle import status_changes as lifecycle
from videos.models import UserTurn, VideoTask
from videos.ordering import queue
from videos.ordering.typical_times import typical_time
from videos.pipeline import balances as provider_balances
from videos.pipeline import concurrency
from videos.pipeline.callback_tokens import hash_token
from videos.pipeline.clients import client_for
from videos.providers import errors
from videos.providers.base import GenerationType, Provider, VideoRequest
from videos.storage import source_images

log = logging.getLogger(__name__)

# Limits the running time of one job; the next job sends the rest.
MAX_PER_JOB = 40
# How many times one claim may find a budget exhausted; each time all tasks that do not fit that budget are held back.
MAX_BUDGET_SKIPS = 100
RATE_LIMIT_WAIT_S = 11.0


@dataclass(frozen=True)
class Claim:
    """A claimed task and the secret token of its callback URL. Only a hash of the token is stored."""

    task: VideoTask
    token: str

    def __repr__(self) -> str:
        return f"Claim({self.task.pk})"


def dispatch_due(*, limit: int = MAX_PER_JOB) -> int:
    """Send the tasks that may be sent now; returns how many were sent."""
    try:
        account = provider_accounts.get_current_account()
        client = client_for(account)
    except provider_accounts.NoProviderKey as problem:
        alerts.raise_alert(alerts.Kind.ACCESS_DENIED, cause="no key", facts=problem.facts)
        return 0
    if not _is_provider_ready(account, client):
        return 0

    def claims() -> Iterator[Claim]:
        for _ in range(limit):
            claim = _claim_next_with_images(account, client)
            if claim is None:
                return
            yield claim

    # At most BREAKER_FAILURES in parallel: if all of them fail, the circuit breaker opens before the next claim.
    return concurrency.run_each(lambda claim: submit(claim, client), claims(), max_threads=settings.BREAKER_FAILURES)


def claim_next(account_id: int) -> Claim | VideoTask | Wait | None:
    """Claim the task that is next in turn.

    Returns the Claim; or the unclaimed VideoTask if its images must be uploaded first; or a Wait that says why no task may
    be sent now; or None if no task is due.
    """
    for _ in range(MAX_BUDGET_SKIPS):
        result = _claim_next_in_turn(account_id)
        if not isinstance(result, Wait) or result.exhausted_budget is None:
            break
        # Only tasks that do not fit the exhausted budget wait; cheaper ones and those of other users and models are sent.
        budget_alerts.raise_spent_alert(result.exhausted_budget)
        jobs = budget_usage.jobs_without_room(
            result.exhausted_budget, above_limit=result.code == guard_checks.ABOVE_LIMIT
        )
        lifecycle.hold_back_all(task_ids=jobs.values_list("job_id", flat=True), wait=result)
        if budget_usage.blocks_every_job(result.exhausted_budget):
            break
    if isinstance(result, Wait) and result.code == guard_checks.SLOWED:
        lifecycle.mark_all_waiting(wait=result)
    return result


def _claim_next_in_turn(account_id: int) -> Claim | VideoTask | Wait | None:
    """Claim the first task in turn; returns the same as `claim_next`.

    If `exhausted_budget` of a returned Wait is set, the Wait concerns only the tasks that need that budget.
    """
    with transaction.atomic():
        account = provider_accounts.lock_account(account_id)
        at = clock.database_now()
        running = queue.count_running_by_user()
        users_at_limit = [user for user, count in running.items() if count >= settings.MAX_CONCURRENT_PER_USER]
        task = (
            VideoTask.objects.filter(status=VideoTask.Status.QUEUED, due_at__lte=at)
            .exclude(user_id__in=users_at_limit)
            .exclude(user__in=user_holds.active_holds().values("user"))
            .order_by(F("user__turn__last_served_at").asc(nulls_first=True), "created_at")
            .first()
        )
        if task is None:
            return None
        estimate = Spend.objects.get(job_id=task.pk)
        wait = guard_checks.check_dispatch(
            estimate=estimate,
            account=account,
            running=sum(running.values()),
            running_of_user=running.get(task.user_id, 0),
        )
        if wait is not None:
            return wait
        if not source_images.are_at_provider(task=task, account_id=account_id):
            lifecycle.hold_back(task_id=task.pk, wait=Wait("images", at + timedelta(seconds=90)))
            return task
        token = randomness.token()
        try:
            with transaction.atomic():
                claimed = lifecycle.claim(task_id=task.pk, account_id=account_id, token_hash=hash_token(token))
                if claimed is None:
                    return None
                spend.promise(spend=estimate, account=account)
        except budget_usage.BudgetSpent as refusal:
            # The budget was exhausted between the check and here, by another task.
            return guard_checks.budget_wait(refusal.state, estimate=estimate, at=at)
        if account.breaker != circuit_breaker.State.CLOSED:
            circuit_breaker.start_probe(account)
        UserTurn.objects.update_or_create(user_id=task.user_id, defaults={"last_served_at": at})
    failpoints.reach("submit.claimed")
    return Claim(claimed, token)


def submit(claim: Claim, client: Provider) -> None:
    """Send the task once and record the result. It is requeued only if the provider certainly did not start it."""
    task = claim.task
    if not lifecycle.is_claim_held(task_id=task.pk, fence=task.fence):
        # This worker was suspended for longer than its lease: another one may have refunded the task, so do not send it.
        wait = Wait("not_sent", clock.database_now())
        lifecycle.requeue(task_id=task.pk, fence=task.fence, wait=wait, detail="the worker that held it was suspended")
        return
    try:
        provider_task_id = client.submit(_build_request(claim))
    except errors.Refused as refusal:
        lifecycle.refuse(task_id=task.pk, fence=task.fence, reason=refusal.reason, detail=refusal.detail)
        _record_provider_success(task)
    except errors.NotSent as error:
        _requeue_unsent(task, error)
    except errors.ProviderError as error:
        failpoints.reach("submit.answered")
        # Inform the circuit breaker before the task stops counting as being sent; otherwise another could be sent in between.
        _record_provider_failure(task, error)
        lifecycle.mark_unconfirmed(task_id=task.pk, fence=task.fence, detail=error.detail)
    else:
        failpoints.reach("submit.answered")
        usual_s = typical_time(task.model).p50_s
        has_callback = task.callbacks.exists()
        lifecycle.accept(
            task_id=task.pk,
            fence=task.fence,
            provider_task_id=provider_task_id,
            due_in_s=0 if has_callback else min(usual_s, settings.FIRST_POLL_AT_MOST_S),
        )
        failpoints.reach("submit.recorded")
        _record_provider_success(task)


def build_callback_url(task_id: UUID, token: str) -> str:
    """The URL that the provider calls when this task is done; the token in it is secret."""
    base: str = settings.CALLBACK_BASE_URL
    return base + reverse("videos:callback", args=[task_id, token])


def _is_provider_ready(account: ProviderAccount, client: Provider) -> bool:
    """Whether videos may be sent now.

    Reads the balance if the known one is old. While the circuit breaker is open, the same free call tests the provider.
    """
    at = clock.database_now()
    is_open = account.breaker != circuit_breaker.State.CLOSED
    if is_open and account.breaker_until is not None and account.breaker_until > at:
        return False
    fresh_for = min(provider_accounts.BALANCE_FRESH_FOR / 2, provider_balances.reading_interval())
    is_old = account.balance_at is None or at - account.balance_at > fresh_for
    # One test per opening of the breaker; otherwise the balance would be read every second while a pause or a budget
    # blocks orders.
    is_probe_needed = is_open and (
        account.balance_at is None or account.breaker_until is None or account.balance_at < account.breaker_until
    )
    return provider_balances.read(account, client).error is None if is_old or is_probe_needed else True


def _claim_next_with_images(account: ProviderAccount, client: Provider) -> Claim | None:
    result = claim_next(account.pk)
    while isinstance(result, VideoTask):
        _upload_images(result, account, client)
        result = claim_next(account.pk)
    return result if isinstance(result, Claim) else None


def _upload_images(task: VideoTask, account: ProviderAccount, client: Provider) -> None:
    try:
        source_images.upload_to_provider(task=task, account_id=account.pk, client=client)
    except errors.ProviderError as error:
        log.warning("images of %s could not be uploaded: %s", task.pk, error.detail)
        until = clock.database_now() + timedelta(seconds=randomness.jitter(30))
        lifecycle.hold_back(task_id=task.pk, wait=Wait("images", until))
    else:
        lifecycle.hold_back(task_id=task.pk, wait=Wait("", clock.database_now()))


def _build_request(claim: Claim) -> VideoRequest:
    task = claim.task
    return VideoRequest(
        prompt=task.prompt,
        model=task.model,
        aspect_ratio=task.aspect_ratio,
        resolution=task.resolution,
        duration_s=task.duration_s,
        generation_type=GenerationType(task.generation_type),
        image_urls=source_images.provider_urls(task=task),
        callback_url=build_callback_url(task.pk, claim.token),
        seed=task.seed,
        watermark=task.watermark,
        enable_translation=task.enable_translation,
    )


def _requeue_unsent(task: VideoTask, error: errors.NotSent) -> None:
    backoff = 2 ** min(task.submit_attempts - 1, 10)
    waits_s = {
        errors.RateLimited: RATE_LIMIT_WAIT_S * backoff,
        errors.Unavailable: 120.0 * backoff,
        errors.OutOfCredits: 30.0,
        errors.AccessDenied: 30.0,
    }
    wait_s = min(waits_s.get(type(error), 5.0 * backoff), 900.0)
    # The jitter only adds time: the provider's whole rate-limit period must pass.
    until = clock.database_now() + timedelta(seconds=wait_s + randomness.jitter(wait_s * 0.2, 1.0))
    if isinstance(error, errors.OutOfCredits | errors.AccessDenied):
        provider_accounts.block_account(
            account_id=_account_id(task), parked_as=ProviderAccount.Parked(error.code), detail=error.detail
        )
    if isinstance(error, errors.OutOfCredits | errors.AccessDenied | errors.RateLimited):
        # The provider responds and only did not accept this task. If the task was the probe (the first order that the
        # breaker lets through as a test), the probe has succeeded.
        _record_provider_success(task)
    else:
        _record_provider_failure(task, error, opens_immediately=isinstance(error, errors.Unavailable))
    lifecycle.requeue(task_id=task.pk, fence=task.fence, wait=Wait(error.code, until), detail=error.detail)


def _record_provider_success(task: VideoTask) -> None:
    circuit_breaker.record_success(_account_id(task))


def _record_provider_failure(task: VideoTask, error: errors.ProviderError, *, opens_immediately: bool = False) -> None:
    circuit_breaker.record_failure(_account_id(task), detail=error.detail, opens_immediately=opens_immediately)


def _account_id(task: VideoTask) -> int:
    assert task.account_id is not None, "a claimed task has an account"  # noqa: S101  true of every claimed task
    return task.account_id

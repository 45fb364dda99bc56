"""Reads our balance at the provider, by a free call, and decides how often this is done."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from accounts.seams import clock
from billing.alerts import runbook
from billing.alerts import services as alerts
from billing.guard import circuit_breaker
from billing.models import ProviderAccount, Spend
from billing.provider import accounts as provider_accounts
from billing.provider import balance_alerts
from videos.models import VideoTask
from videos.pipeline import polling
from videos.pipeline.clients import free_call_client_for
from videos.providers import errors
from videos.providers.base import Provider

log = logging.getLogger(__name__)

BUSY_INTERVAL = timedelta(seconds=60)
IDLE_INTERVAL = timedelta(minutes=15)
# Used while videos wait for provider credits: an operator is probably topping up the account.
TOP_UP_INTERVAL = SHORTEST_INTERVAL = timedelta(seconds=15)


@dataclass(frozen=True)
class Reading:
    """The result of reading the balance: the balance in provider credits or the error, and how long the call took."""

    balance: Decimal | None
    took_s: float
    error: errors.ProviderError | None = None


def _has_queued_videos() -> bool:
    return VideoTask.objects.filter(status=VideoTask.Status.QUEUED).exists()


def _has_unsettled_jobs() -> bool:
    return Spend.objects.filter(state=Spend.State.PROMISED).exists()


def read(account: ProviderAccount, client: Provider, *, is_used: bool = True) -> Reading:
    """Request the balance and record it; if the call fails, record the error.

    `is_used=False` means that an operator tests a key that sends no videos: a refusal of the key raises no alert.
    """
    started_at = clock.now()
    try:
        balance = client.balance()
    except errors.ProviderError as error:
        _record_failure(account, error, is_used=is_used)
        return Reading(None, _seconds_since(started_at), error)
    took_s = _seconds_since(started_at)
    provider_accounts.record_balance(account_id=account.pk, balance=balance)
    circuit_breaker.record_success(account.pk, call=circuit_breaker.Call.BALANCE)
    return Reading(balance, took_s)


def read_all() -> None:
    """Read the balance of the current account and of every other account with unfinished videos."""
    try:
        current: ProviderAccount | None = provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey as problem:
        current = None
        alerts.raise_alert(alerts.Kind.ACCESS_DENIED, cause=runbook.NO_KEY, facts=problem.facts)
    open_spends = Spend.objects.filter(state=Spend.State.PROMISED, account__isnull=False).exclude(account=current)
    others = ProviderAccount.objects.filter(pk__in=open_spends.values("account")).order_by("pk")
    for account in [current, *others] if current else others:
        try:
            read(account, free_call_client_for(account))
        except provider_accounts.NoProviderKey as problem:
            alerts.raise_alert(alerts.Kind.ACCESS_DENIED, cause=account.cause, facts=problem.facts)
    if current is not None:
        polled_accounts = VideoTask.objects.filter(polling.awaiting_verdict(), account__isnull=False).values("account")
        unused = ProviderAccount.objects.exclude(pk=current.pk).exclude(pk__in=others.values("pk"))
        balance_alerts.resolve_unused(unused.exclude(pk__in=polled_accounts))


def reading_interval(
    *,
    has_queued_videos: Callable[[], bool] = _has_queued_videos,
    has_unsettled_jobs: Callable[[], bool] = _has_unsettled_jobs,
) -> timedelta:
    """How often the balance is read at present.

    A caller that already knows the answer to the two questions saves two queries by passing functions that return them.
    """
    try:
        account = provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        return IDLE_INTERVAL
    is_stopped = bool(account.parked_as) or provider_accounts.is_critical(account)
    if is_stopped and has_queued_videos():
        return TOP_UP_INTERVAL
    if is_stopped or account.breaker != ProviderAccount.Breaker.CLOSED:
        return BUSY_INTERVAL
    return BUSY_INTERVAL if has_unsettled_jobs() else IDLE_INTERVAL


def _record_failure(account: ProviderAccount, error: errors.ProviderError, *, is_used: bool) -> None:
    if isinstance(error, errors.AccessDenied | errors.OutOfCredits):
        provider_accounts.block_account(
            account_id=account.pk,
            parked_as=ProviderAccount.Parked(error.code),
            detail=error.detail,
            is_used=is_used,
        )
    else:
        circuit_breaker.record_failure(account.pk, detail=error.detail, call=circuit_breaker.Call.BALANCE)


def _seconds_since(started_at: datetime) -> float:
    return (clock.now() - started_at) / timedelta(seconds=1)

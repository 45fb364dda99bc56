"""The circuit breaker of a provider account: after repeated failures it sends nothing new for a while (the cooldown).

    closed --BREAKER_FAILURES of the last BREAKER_OF calls within BREAKER_WINDOW_S failed, or maintenance--> open
    open   --cooldown is over and the free balance call succeeds; one waiting video is sent as the probe--> half-open
    half-open --probe succeeds--> closed        half-open --probe or balance call fails--> open, twice as long

Paid and free calls are counted separately: during maintenance orders fail while free calls still succeed. Only failures
of the provider count, never errors in a user's request.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from accounts.seams import clock, randomness
from billing.alerts import services as alerts
from billing.models import PaidCall, ProviderAccount, ProviderOutcome
from billing.provider.accounts import lock_account

FIRST_COOLDOWN = timedelta(seconds=30)
LONGEST_COOLDOWN = timedelta(minutes=10)
OUTCOME_RETENTION = timedelta(days=1)
# A paid request ends within a minute; a call in flight for longer belongs to a dead worker and is ignored.
MAX_IN_FLIGHT = timedelta(seconds=75)

State = ProviderAccount.Breaker
Call = ProviderOutcome.Call

# Calls that cost nothing.
FREE = (Call.POLL, Call.BALANCE)
_DETAIL_LENGTH = 300


def record_success(account_id: int, *, call: ProviderOutcome.Call = Call.PAID) -> None:
    """Record a successful call. A successful probe closes the breaker; a free call never does."""
    at = clock.database_now()
    if call == Call.PAID:
        ProviderOutcome.objects.create(account_id=account_id, call=call, is_ok=True, at=at)
        probed = ProviderAccount.objects.filter(pk=account_id, breaker=State.HALF_OPEN)
        if probed.update(breaker=State.CLOSED, breaker_at=clock.database_now(), breaker_opened=0, breaker_until=None):
            alerts.resolve_alerts(alerts.Kind.PROVIDER_TROUBLE, cause=ProviderAccount.cause_of(account_id))
    elif ProviderOutcome.objects.filter(
        account_id=account_id, call__in=FREE, is_ok=False, at__gt=at - failure_window()
    ).exists():
        # Successful free calls are frequent, so they are stored only while there are recent failures to compare with.
        ProviderOutcome.objects.create(account_id=account_id, call=call, is_ok=True, at=at)


def record_failure(
    account_id: int, *, detail: str, call: ProviderOutcome.Call = Call.PAID, opens_immediately: bool = False
) -> None:
    """Record a failure of the provider.

    Pass `opens_immediately` if the provider announced that it accepts no orders (maintenance).
    """
    with transaction.atomic():
        account = lock_account(account_id)
        at = clock.database_now()
        detail = detail[:_DETAIL_LENGTH]
        ProviderOutcome.objects.create(account=account, call=call, is_ok=False, detail=detail, at=at)
        if _should_open(account, call, at, opens_immediately=opens_immediately):
            _open(account, at, detail)


def next_call_at(account: ProviderAccount, at: datetime) -> datetime | None:
    """When to check again whether a paid call may be sent, or None if it may be sent now.

    While the breaker is open, that call is the probe. Every call in flight, in any process, counts as a possible
    failure, so that at most BREAKER_FAILURES calls fail before the breaker opens. The caller holds the account's lock.
    """
    if account.breaker == State.CLOSED:
        return (
            at + timedelta(seconds=1)
            if count_failures(account, at) + _count_in_flight(account, at) >= _failures_to_open()
            else None
        )
    if account.breaker_until is not None and account.breaker_until > at:
        return account.breaker_until
    # The cooldown is over. The balance must be read once more before the probe is sent.
    if account.balance_at is None or (account.breaker_until is not None and account.balance_at < account.breaker_until):
        return at + timedelta(seconds=2)
    return None


def is_cooldown_over(account: ProviderAccount, at: datetime) -> bool:
    """Whether the breaker is open but its cooldown is over, so that the next job is sent as the probe."""
    return account.breaker != State.CLOSED and (account.breaker_until is None or account.breaker_until <= at)


def start_probe(account: ProviderAccount) -> None:
    """Allow one call as a probe; the caller holds the account's lock.

    If the worker that sends the probe dies, another probe may follow when its time (SUBMIT_LEASE_S) is over.
    """
    at = clock.database_now()
    account.breaker, account.breaker_at = State.HALF_OPEN, at
    account.breaker_until = at + timedelta(seconds=settings.SUBMIT_LEASE_S)
    account.save(update_fields=["breaker", "breaker_at", "breaker_until"])


def count_failures(
    account: ProviderAccount, at: datetime, calls: Collection[ProviderOutcome.Call] = (Call.PAID,)
) -> int:
    """Count the failures among the last BREAKER_OF calls, within `failure_window` and since the breaker closed."""
    since = at - failure_window()
    if account.breaker == State.CLOSED and account.breaker_at is not None:
        since = max(since, account.breaker_at)
    recent = ProviderOutcome.objects.filter(account_id=account.pk, call__in=calls, at__gt=since)
    return list(recent.order_by("-at", "-pk").values_list("is_ok", flat=True)[: settings.BREAKER_OF]).count(False)


def is_unreachable(account: ProviderAccount) -> bool:
    """Whether the last attempt to read the balance failed."""
    failed_calls = ProviderOutcome.objects.filter(account_id=account.pk, call=Call.BALANCE, is_ok=False)
    if account.balance_at is not None:
        failed_calls = failed_calls.filter(at__gt=account.balance_at)
    return failed_calls.exists()


def failure_window() -> timedelta:
    """How far back outcomes count towards opening the breaker."""
    return timedelta(seconds=settings.BREAKER_WINDOW_S)


def delete_old_outcomes() -> int:
    """Delete outcomes past their retention; returns how many."""
    deleted, _ = ProviderOutcome.objects.filter(at__lt=clock.database_now() - OUTCOME_RETENTION).delete()
    return deleted


def _should_open(
    account: ProviderAccount, call: ProviderOutcome.Call, at: datetime, *, opens_immediately: bool
) -> bool:
    """Whether the failure just recorded opens the breaker, or opens it again."""
    if account.breaker == State.CLOSED:
        return (
            opens_immediately
            or count_failures(account, at, (Call.PAID,) if call == Call.PAID else FREE) >= _failures_to_open()
        )
    if account.breaker == State.HALF_OPEN and call == Call.PAID:
        return True
    # Calls that were in flight when the breaker opened do not prolong the cooldown. A failed balance call does,
    # if it comes after the cooldown or after a probe whose worker died.
    return call == Call.BALANCE and (account.breaker_until is None or account.breaker_until <= at)


def _open(account: ProviderAccount, at: datetime, detail: str) -> None:
    account.breaker_opened += 1
    cooldown = min(FIRST_COOLDOWN * 2 ** min(account.breaker_opened - 1, 10), LONGEST_COOLDOWN)
    account.breaker, account.breaker_at = State.OPEN, at
    account.breaker_until = at + timedelta(seconds=randomness.jitter(cooldown.total_seconds(), 0.1))
    account.save(update_fields=["breaker", "breaker_at", "breaker_opened", "breaker_until"])
    alerts.raise_alert(alerts.Kind.PROVIDER_TROUBLE, cause=account.cause, detail=detail)


def _count_in_flight(account: ProviderAccount, at: datetime) -> int:
    """Count the paid calls of all processes that have no response yet."""
    calls = PaidCall.objects.filter(account_id=account.pk, answered_at=None, outcome=PaidCall.Outcome.IN_FLIGHT)
    return calls.filter(started_at__gt=at - MAX_IN_FLIGHT).count()


def _failures_to_open() -> int:
    failures_to_open: int = settings.BREAKER_FAILURES
    return failures_to_open

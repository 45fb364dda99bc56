"""The breaker of a provider account: closed, open for a while after trouble, half-open for one probe, closed again.

    closed --BREAKER_FAILURES of the last BREAKER_OF calls within BREAKER_WINDOW_S failed, or maintenance--> open
    open   --rested, the free balance call is well, one waiting video goes as the probe--> half-open
    half-open --the probe is answered--> closed        half-open --it fails, or its balance call--> open, twice as long

Paid calls are judged among themselves, and free questions among themselves: maintenance stops orders while answers to
questions go on, and must not hide among them. Only the provider's failures count, never what a user did wrong.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from accounts.seams import clock, randomness
from billing.alerts import services as alerts
from billing.models import PaidCall, ProviderAccount, ProviderOutcome
from billing.provider.accounts import lock_account

FIRST_REST = timedelta(seconds=30)
LONGEST_REST = timedelta(minutes=10)
OUTCOMES_KEPT = timedelta(days=1)
# A POST ends within a minute; what is in flight for longer belongs to a dead worker, and holds up nobody.
IN_FLIGHT_AT_MOST = timedelta(seconds=75)

State = ProviderAccount.Breaker
Call = ProviderOutcome.Call

FREE = (Call.POLL, Call.BALANCE)
_DETAIL_LENGTH = 300


def succeeded(account_id: int, *, call: ProviderOutcome.Call = Call.PAID) -> None:
    """The provider answered sensibly. A probe that did closes the breaker; free answers never do."""
    at = clock.database_now()
    if call == Call.PAID:
        ProviderOutcome.objects.create(account_id=account_id, call=call, is_ok=True, at=at)
        probed = ProviderAccount.objects.filter(pk=account_id, breaker=State.HALF_OPEN)
        if probed.update(breaker=State.CLOSED, breaker_at=clock.database_now(), breaker_opened=0, breaker_until=None):
            alerts.resolve_alerts(alerts.Kind.PROVIDER_TROUBLE, cause=ProviderAccount.cause_of(account_id))
    elif ProviderOutcome.objects.filter(
        account_id=account_id, call__in=FREE, is_ok=False, at__gt=at - window()
    ).exists():
        # With no failure near there is nothing that it could outweigh, and nothing to write.
        ProviderOutcome.objects.create(account_id=account_id, call=call, is_ok=True, at=at)


def failed(account_id: int, *, detail: str, call: ProviderOutcome.Call = Call.PAID, at_once: bool = False) -> None:
    """One more failure of the provider. `at_once`: it said itself that it takes no orders now (maintenance)."""
    with transaction.atomic():
        account = lock_account(account_id)
        at = clock.database_now()
        detail = detail[:_DETAIL_LENGTH]
        ProviderOutcome.objects.create(account=account, call=call, is_ok=False, detail=detail, at=at)
        if _opens(account, call, at, at_once=at_once):
            _open(account, at, detail)


def next_at(account: ProviderAccount, at: datetime) -> datetime | None:
    """When to look again whether a paid call may go; None: now. When the breaker is open, that call is the probe.

    Never more calls are under way than may still fail before it opens, over all processes: whoever claims holds the
    account's lock.
    """
    if account.breaker == State.CLOSED:
        return at + timedelta(seconds=1) if failures(account, at) + _in_flight(account, at) >= _to_open() else None
    if account.breaker_until is not None and account.breaker_until > at:
        return account.breaker_until
    # Rested. The free half of a probe comes first: a balance that was read since.
    if account.balance_at is None or (account.breaker_until is not None and account.balance_at < account.breaker_until):
        return at + timedelta(seconds=2)
    return None


def has_rested(account: ProviderAccount, at: datetime) -> bool:
    """Whether it is not closed and yet stops nobody: whatever is ordered next goes first, as the probe."""
    return account.breaker != State.CLOSED and (account.breaker_until is None or account.breaker_until <= at)


def half_open(account: ProviderAccount) -> None:
    """Let one call through as a probe; were it lost, another may go after its lease. The caller holds the lock."""
    at = clock.database_now()
    account.breaker, account.breaker_at = State.HALF_OPEN, at
    account.breaker_until = at + timedelta(seconds=settings.SUBMIT_LEASE_S)
    account.save(update_fields=["breaker", "breaker_at", "breaker_until"])


def failures(account: ProviderAccount, at: datetime, calls: Collection[ProviderOutcome.Call] = (Call.PAID,)) -> int:
    """How many of the last calls of this kind failed, within the window and since the breaker closed."""
    since = at - window()
    if account.breaker == State.CLOSED and account.breaker_at is not None:
        since = max(since, account.breaker_at)
    recent = ProviderOutcome.objects.filter(account_id=account.pk, call__in=calls, at__gt=since)
    return list(recent.order_by("-at", "-pk").values_list("is_ok", flat=True)[: settings.BREAKER_OF]).count(False)


def is_unreached(account: ProviderAccount) -> bool:
    """Whether we asked for the balance and were not told it, with nothing told since."""
    asked = ProviderOutcome.objects.filter(account_id=account.pk, call=Call.BALANCE, is_ok=False)
    if account.balance_at is not None:
        asked = asked.filter(at__gt=account.balance_at)
    return asked.exists()


def window() -> timedelta:
    """How far back outcomes count."""
    return timedelta(seconds=settings.BREAKER_WINDOW_S)


def forget_old() -> int:
    """Delete outcomes that nobody will ask for any more; returns how many."""
    deleted, _ = ProviderOutcome.objects.filter(at__lt=clock.database_now() - OUTCOMES_KEPT).delete()
    return deleted


def _opens(account: ProviderAccount, call: ProviderOutcome.Call, at: datetime, *, at_once: bool) -> bool:
    """Whether the failure just noted opens the breaker (again)."""
    if account.breaker == State.CLOSED:
        return at_once or failures(account, at, (Call.PAID,) if call == Call.PAID else FREE) >= _to_open()
    if account.breaker == State.HALF_OPEN and call == Call.PAID:
        return True
    # What was under way when it opened prolongs nothing; a balance that is not told after the rest does, or after a
    # probe of which nobody heard.
    return call == Call.BALANCE and (account.breaker_until is None or account.breaker_until <= at)


def _open(account: ProviderAccount, at: datetime, detail: str) -> None:
    account.breaker_opened += 1
    rest = min(FIRST_REST * 2 ** min(account.breaker_opened - 1, 10), LONGEST_REST)
    account.breaker, account.breaker_at = State.OPEN, at
    account.breaker_until = at + timedelta(seconds=randomness.jitter(rest.total_seconds(), 0.1))
    account.save(update_fields=["breaker", "breaker_at", "breaker_opened", "breaker_until"])
    alerts.raise_alert(alerts.Kind.PROVIDER_TROUBLE, cause=account.cause, detail=detail)


def _in_flight(account: ProviderAccount, at: datetime) -> int:
    """Paid calls that nobody has heard of yet, in all processes."""
    calls = PaidCall.objects.filter(account_id=account.pk, answered_at=None, outcome=PaidCall.Outcome.IN_FLIGHT)
    return calls.filter(started_at__gt=at - IN_FLIGHT_AT_MOST).count()


def _to_open() -> int:
    failures_to_open: int = settings.BREAKER_FAILURES
    return failures_to_open

"""The breaker of a provider account: closed, open for a while after trouble, half-open for one probe, closed again."""

from datetime import timedelta

from accounts.doors import chance, clock
from billing import alerts
from billing.models import ProviderAccount
from billing.provider_accounts import lock

FAILURES_TO_OPEN = 5
FIRST_REST = timedelta(seconds=30)
LONGEST_REST = timedelta(minutes=10)

State = ProviderAccount.Breaker


def succeeded(account_id: int) -> None:
    """The provider answered sensibly: close, forget. Costs no write while all is well."""
    changed = (
        ProviderAccount.objects.filter(pk=account_id)
        .exclude(breaker=State.CLOSED, breaker_failures=0)
        .update(breaker=State.CLOSED, breaker_failures=0, breaker_opened=0, breaker_until=None)
    )
    if changed:
        alerts.resolve(alerts.Kind.PROVIDER_TROUBLE, cause=ProviderAccount.cause_of(account_id))


def failed(account_id: int, *, detail: str, at_once: bool = False) -> None:
    """One more failure. Opens after FAILURES_TO_OPEN in a row, `at_once`, or after a probe. Needs a transaction."""
    account = lock(account_id)
    account.breaker_failures += 1
    probe_failed = account.breaker == State.HALF_OPEN
    if at_once or probe_failed or account.breaker_failures >= FAILURES_TO_OPEN:
        if account.breaker != State.OPEN:
            account.breaker_opened += 1
        rest = min(FIRST_REST * 2 ** min(account.breaker_opened - 1, 10), LONGEST_REST)
        account.breaker = State.OPEN
        account.breaker_until = clock.database_now() + timedelta(seconds=chance.jitter(rest.total_seconds(), 0.1))
        alerts.raise_alert(alerts.Kind.PROVIDER_TROUBLE, cause=account.cause, detail=detail)
    account.save(update_fields=["breaker", "breaker_failures", "breaker_opened", "breaker_until"])


def half_open(account: ProviderAccount) -> None:
    """Let one call through as a probe. The caller holds the account's lock."""
    account.breaker = State.HALF_OPEN
    account.breaker_until = clock.database_now() + LONGEST_REST
    account.save(update_fields=["breaker", "breaker_until"])

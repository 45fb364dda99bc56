"""Helpers of the reconciliation tests."""

from datetime import datetime, timedelta
from decimal import Decimal

from accounts.models import User
from billing.models import Alert, ProviderEntry
from billing.reconciliation import reconcile
from billing.reconciliation.reconcile import Reconciliation
from tests.billing.simulated_provider import SimulatedProvider

KEY = "2f0f6f0e-58a5-4c0f-b0f8-6a2f0d5a7c11"


def reconcile_day(provider: SimulatedProvider, since: datetime | None = None) -> Reconciliation:
    result = reconcile.reconcile(
        account=provider.account, since=since or provider.clock.at - timedelta(days=1), until=provider.clock.at
    )
    assert result is not None
    return result


def list_entries() -> list[tuple[str, Decimal]]:
    return list(ProviderEntry.objects.order_by("id").values_list("kind", "amount"))


def get_unexplained_alert() -> Alert:
    return Alert.objects.get(kind="unexplained_spend")


def record_correction(
    provider: SimulatedProvider, amount: object, *, actor: User, key: str = KEY, reason: str = "Tried in the playground"
) -> ProviderEntry:
    result = reconcile_day(provider)
    return reconcile.record_correction(
        account_id=provider.account.pk,
        amount=Decimal(str(amount)),
        reason=reason,
        actor=actor,
        idempotency_key=key,
        happened_at=result.correction_time,
        snapshot_id=result.closing.pk,
    )

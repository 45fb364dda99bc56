"""Raises and resolves the alerts that depend on the balance of a provider account."""

from collections.abc import Iterable
from decimal import Decimal

from django.conf import settings

from billing.alerts import services as alerts
from billing.common.formatting import format_plain
from billing.models import ProviderAccount

# Alerts about an account that make sense only while it is in use.
_WHILE_IN_USE = (
    alerts.Kind.LOW_BALANCE,
    alerts.Kind.CRITICAL_BALANCE,
    alerts.Kind.OUT_OF_CREDITS,
    alerts.Kind.ACCESS_DENIED,
    alerts.Kind.PROVIDER_TROUBLE,
)


def update_balance_alerts(account: ProviderAccount, balance: Decimal) -> None:
    """Raise the alert for the threshold that is reached; resolve the alerts that this balance disproves."""
    critical, low = balance <= settings.CRITICAL_BALANCE_THRESHOLD, balance <= settings.LOW_BALANCE_THRESHOLD
    if critical:
        kind, threshold = alerts.Kind.CRITICAL_BALANCE, settings.CRITICAL_BALANCE_THRESHOLD
    else:
        kind, threshold = alerts.Kind.LOW_BALANCE, settings.LOW_BALANCE_THRESHOLD
    if critical or low:
        facts = {"balance": format_plain(balance), "threshold": format_plain(threshold)}
        alerts.raise_alert(kind, cause=account.cause, facts=facts)
    resolved = {
        alerts.Kind.CRITICAL_BALANCE: not critical,
        alerts.Kind.LOW_BALANCE: not low,
        alerts.Kind.OUT_OF_CREDITS: not account.parked_as,
        alerts.Kind.ACCESS_DENIED: not account.parked_as,
    }
    for kind, is_resolved in resolved.items():
        if is_resolved:
            alerts.resolve_alerts(kind, cause=account.cause)


def resolve_unused(accounts: Iterable[ProviderAccount]) -> None:
    """Resolve the alerts of accounts that are no longer in use, because their balance is not read any more."""
    for account in accounts:
        for kind in _WHILE_IN_USE:
            alerts.resolve_alerts(kind, cause=account.cause)

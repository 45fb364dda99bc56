"""Tells operators how an account at the provider stands by its balance, and ends what a balance proves over."""

from collections.abc import Iterable
from decimal import Decimal

from django.conf import settings

from billing.alerts import services as alerts
from billing.common.formatting import format_plain
from billing.models import ProviderAccount

# What is told of an account as long as something is sent with it or asked of it.
_TOLD_IN_USE = (
    alerts.Kind.LOW_BALANCE,
    alerts.Kind.CRITICAL_BALANCE,
    alerts.Kind.OUT_OF_CREDITS,
    alerts.Kind.ACCESS_DENIED,
    alerts.Kind.PROVIDER_TROUBLE,
)


def update_balance_alerts(account: ProviderAccount, balance: Decimal) -> None:
    """Alert at the threshold that the balance is under; end the alerts that this balance proves over."""
    critical, low = balance <= settings.CRITICAL_BALANCE_THRESHOLD, balance <= settings.LOW_BALANCE_THRESHOLD
    if critical:
        kind, threshold = alerts.Kind.CRITICAL_BALANCE, settings.CRITICAL_BALANCE_THRESHOLD
    else:
        kind, threshold = alerts.Kind.LOW_BALANCE, settings.LOW_BALANCE_THRESHOLD
    if critical or low:
        facts = {"balance": format_plain(balance), "threshold": format_plain(threshold)}
        alerts.raise_alert(kind, cause=account.cause, facts=facts)
    over = {
        alerts.Kind.CRITICAL_BALANCE: not critical,
        alerts.Kind.LOW_BALANCE: not low,
        alerts.Kind.OUT_OF_CREDITS: not account.parked_as,
        alerts.Kind.ACCESS_DENIED: not account.parked_as,
    }
    for kind, is_over in over.items():
        if is_over:
            alerts.resolve_alerts(kind, cause=account.cause)


def resolve_unused(accounts: Iterable[ProviderAccount]) -> None:
    """Nothing is sent with these or asked of them any more: end the alerts that no reading of a balance would ever end."""
    for account in accounts:
        for kind in _TOLD_IN_USE:
            alerts.resolve_alerts(kind, cause=account.cause)

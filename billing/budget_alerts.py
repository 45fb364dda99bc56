"""Tells operators how their budgets stand: once for each window and limit. What ends by itself is said to be over.

Limits that hold for each user alike are for the users, who read them where they order: they raise no alert.
"""

from datetime import datetime

from billing import alerts, budgets
from billing.amounts import plain
from billing.budgets import State
from billing.limits import Subject
from billing.models import Alert

KINDS = (alerts.Kind.BUDGET_SOFT, alerts.Kind.BUDGET_HARD)


def tell_spent(state: State) -> None:
    """Something was refused or waits, for there is no room for it: that it is almost spent is no news any more."""
    _tell_once(alerts.Kind.BUDGET_HARD, state)
    alerts.resolve(alerts.Kind.BUDGET_SOFT, cause=cause_of(state))


def watch(at: datetime) -> None:
    """Warn of windows whose soft share is reached; end the alerts of windows that are over or whose limit was changed."""
    limited = [state for state in budgets.states(at) if state.limit is not None]
    for alert in Alert.objects.filter(kind__in=KINDS, resolved_at=None):
        if not any(cause_of(state) == alert.cause and state.window.starts_at <= alert.last_at for state in limited):
            alerts.resolve(alerts.Kind(alert.kind), cause=alert.cause)
    spent = Alert.objects.filter(kind=alerts.Kind.BUDGET_HARD, resolved_at=None).values_list("cause", flat=True)
    for state in limited:
        if state.is_soft and cause_of(state) not in spent:
            _tell_once(alerts.Kind.BUDGET_SOFT, state)


def cause_of(state: State) -> str:
    """A window's limit by name: another limit is another cause, so that each is told of once."""
    return f"{state.scope}:{state.period} {plain(state.limit or budgets.ZERO)}"


def _tell_once(kind: alerts.Kind, state: State) -> None:
    if state.budget_key.startswith(f"{Subject.EACH_USER}:"):
        return
    told = Alert.objects.filter(kind=kind, cause=cause_of(state), first_at__gte=state.window.starts_at)
    if told.exists():
        return
    facts = {
        "say": [f"budget_{state.period}"],
        "scope": state.scope,
        "used": plain(state.used),
        "limit": plain(state.limit or budgets.ZERO),
        "next_at": state.window.ends_at.isoformat(),
    }
    alerts.raise_alert(kind, cause=cause_of(state), facts=facts, window=state.period)

"""Tells operators how their budgets stand: one entry for each window and limit, open as long as it is so.

Limits that hold for each user alike are for the users, who read them where they order: they raise no alert.
"""

from datetime import datetime

from accounts.seams import clock
from billing.alerts import services as alerts
from billing.budgets import usage as budget_usage
from billing.budgets.limits import Subject
from billing.budgets.state import State
from billing.common.formatting import format_plain
from billing.models import Alert

KINDS = (alerts.Kind.BUDGET_SOFT, alerts.Kind.BUDGET_HARD)


def tell_spent(state: State) -> None:
    """Something was refused or waits, for there is no room for it. A window that still has room for others is not spent."""
    if state.budget_key.startswith(f"{Subject.EACH_USER}:") or _is_told(alerts.Kind.BUDGET_HARD, state):
        return
    for one in budget_usage.states(clock.database_now()):
        if (one.scope, one.window) == (state.scope, state.window) and one.is_spent:
            _tell(alerts.Kind.BUDGET_HARD, one)
            # That it is almost spent is no news any more.
            alerts.resolve_alerts(alerts.Kind.BUDGET_SOFT, cause=cause_of(one))


def watch(at: datetime) -> None:
    """Warn of windows whose soft share is reached; end what is so no longer: over, given room again, of a changed limit."""
    limited = [state for state in budget_usage.states(at) if state.limit is not None]
    for alert in Alert.objects.filter(kind__in=KINDS, resolved_at=None):
        still = (
            state.is_spent if alert.kind == alerts.Kind.BUDGET_HARD else state.is_soft for state in _of(alert, limited)
        )
        if not any(still):
            alerts.resolve_alerts(alerts.Kind(alert.kind), cause=alert.cause)
    for state in limited:
        if state.is_soft and not any(_is_told(kind, state) for kind in KINDS):
            _tell(alerts.Kind.BUDGET_SOFT, state)


def cause_of(state: State) -> str:
    """A window's limit by name: another limit is another cause, so that each is told of once."""
    return f"{state.scope}:{state.period} {format_plain(state.limit or budget_usage.ZERO)}"


def _of(alert: Alert, states: list[State]) -> list[State]:
    """The window that an alert tells of, if it is not over."""
    return [state for state in states if cause_of(state) == alert.cause and state.window.starts_at <= alert.last_at]


def _is_told(kind: alerts.Kind, state: State) -> bool:
    told = Alert.objects.filter(kind=kind, cause=cause_of(state), resolved_at=None)
    return told.filter(last_at__gte=state.window.starts_at).exists()


def _tell(kind: alerts.Kind, state: State) -> None:
    """In the window's one entry, which opens again if it was over."""
    facts = {
        "say": [f"budget_{state.period}"],
        "scope": state.scope,
        "used": format_plain(state.used),
        "limit": format_plain(state.limit or budget_usage.ZERO),
        "next_at": state.window.ends_at.isoformat(),
    }
    alerts.raise_alert(kind, cause=cause_of(state), facts=facts, window=state.period)

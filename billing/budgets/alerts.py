"""Alerts about budgets: one for each window and limit, open while the limit is nearly or completely used.

The limit for each user raises no alert, because users see it themselves when they order.
"""

from datetime import datetime

from accounts.seams import clock
from billing.alerts import services as alerts
from billing.budgets import usage as budget_usage
from billing.budgets.limits import Subject
from billing.budgets.state import ZERO, State
from billing.common.formatting import format_plain
from billing.models import Alert

# BUDGET_SOFT: the warning threshold of a limit is reached. BUDGET_HARD: the room left is too small for any job.
KINDS = (alerts.Kind.BUDGET_SOFT, alerts.Kind.BUDGET_HARD)


def raise_spent_alert(state: State) -> None:
    """Call it when a job did not fit: raises the alert only if not even the cheapest job would fit.

    `state` is the use of one window of one limit.
    """
    if state.budget_key.startswith(f"{Subject.EACH_USER}:") or _is_reported(alerts.Kind.BUDGET_HARD, state):
        return
    for current in budget_usage.list_states(clock.database_now()):
        if (current.scope, current.window) == (state.scope, state.window) and current.is_spent:
            _raise_alert(alerts.Kind.BUDGET_HARD, current)
            # A spent budget needs no warning that it is almost spent.
            alerts.resolve_alerts(alerts.Kind.BUDGET_SOFT, cause=alert_cause(current))


def update_alerts(at: datetime) -> None:
    """Warn about windows that reached their warning threshold; resolve alerts that no longer apply.

    An alert no longer applies if its window ended or has room again, or if its limit was changed.
    """
    limited_states = [state for state in budget_usage.list_states(at) if state.limit is not None]
    for alert in Alert.objects.filter(kind__in=KINDS, resolved_at=None):
        states = _matching_states(alert, limited_states)
        is_hard = alert.kind == alerts.Kind.BUDGET_HARD
        if not any(state.is_spent if is_hard else state.is_soft for state in states):
            alerts.resolve_alerts(alerts.Kind(alert.kind), cause=alert.cause)
    for state in limited_states:
        if state.is_soft and not any(_is_reported(kind, state) for kind in KINDS):
            _raise_alert(alerts.Kind.BUDGET_SOFT, state)


def alert_cause(state: State) -> str:
    """The key by which the alert about a window's limit is found again. A changed limit raises a new alert."""
    return f"{state.scope}:{state.period} {format_plain(state.limit or ZERO)}"


def _matching_states(alert: Alert, states: list[State]) -> list[State]:
    """The states of the window that an alert is about, unless that window has ended."""
    return [state for state in states if alert_cause(state) == alert.cause and state.window.starts_at <= alert.last_at]


def _is_reported(kind: alerts.Kind, state: State) -> bool:
    open_alerts = Alert.objects.filter(kind=kind, cause=alert_cause(state), resolved_at=None)
    return open_alerts.filter(last_at__gte=state.window.starts_at).exists()


def _raise_alert(kind: alerts.Kind, state: State) -> None:
    """Raise the alert of the window; if it was resolved, it is reopened."""
    facts = {
        "say": [f"budget_{state.period}"],  # the names of sentences in `billing.alerts.messages`
        "scope": state.scope,
        "used": format_plain(state.used),
        "limit": format_plain(state.limit or ZERO),
        "next_at": state.window.ends_at.isoformat(),
    }
    alerts.raise_alert(kind, cause=alert_cause(state), facts=facts, window=state.period)

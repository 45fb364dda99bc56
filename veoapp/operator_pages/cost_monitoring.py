"""Serves `GET /api/admin/cost-monitoring`: balance, costs, budgets and alerts as JSON, for sessions and API tokens.

The requests must come from operators. The README shows an example of the response.
Amounts are provider credits as JSON numbers with fractions. Errors are `{"error": {"code", "message"}}`.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from accounts.models import User
from accounts.seams import clock
from accounts.tokens import services as tokens
from billing.budgets import state as budget_state
from billing.budgets import usage as budget_usage
from billing.budgets.limits import ALL
from billing.budgets.state import State
from billing.guard import circuit_breaker
from billing.models import Alert, Measure, ProviderAccount
from billing.provider import accounts as provider_accounts
from billing.reports import current_costs, forecasts
from billing.reports.cost_totals import Sums
from billing.reports.forecasts import Pace
from veoapp.operator_pages.dashboard import permissions

MAX_ALERTS = 100

Json = dict[str, Any]


class _Refused(Exception):
    """The request is refused with this status, code, message and headers."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.headers = status, code, message, headers


@csrf_exempt  # safe, because this view only reads and refuses methods other than GET and HEAD
def cost_monitoring(request: HttpRequest) -> JsonResponse:
    """Return the figures, or an error with its status."""
    try:
        user = _authorize(request)
    except _Refused as refusal:
        response = JsonResponse({"error": {"code": refusal.code, "message": refusal.message}}, status=refusal.status)
        for name, value in refusal.headers.items():
            response[name.replace("_", "-")] = value
    else:
        response = JsonResponse(build_figures(clock.database_now(), tables=permissions.visible_tables(user)))
    response["Cache-Control"] = "no-store"
    return response


def _authorize(request: HttpRequest) -> User | AnonymousUser:
    """Return the operator who sent the request; raise _Refused for everyone else.

    The operator needs a session that may use the operators' site, or a token with the right scope. If a token was sent, the
    session is ignored.
    """
    if request.method not in ("GET", "HEAD"):
        raise _Refused(405, "method_not_allowed", _("Only GET requests are supported."), Allow="GET, HEAD")
    if "Authorization" in request.headers:
        return _authorize_token(request)
    if not request.user.is_authenticated:
        message = _("Sign in as an operator, or send a token: “Authorization: Bearer veo_…”.")
        raise _Refused(401, "not_signed_in", message, WWW_Authenticate="Bearer")
    if not request.user.is_staff:
        raise _Refused(403, "not_an_operator", _("Only operators may see this."))
    if not admin.site.has_permission(request):
        raise _Refused(403, "second_factor_missing", _("Sign in to the operators' site with your second factor first."))
    return request.user


def _authorize_token(request: HttpRequest) -> User:
    try:
        owner = tokens.authenticate(request, scope=tokens.COST_READ)
    except tokens.TooManyAttempts as refusal:
        message = _("Too many wrong tokens were sent from your address. Wait a minute.")
        raise _Refused(429, refusal.code, message, Retry_After=str(refusal.retry_after_s)) from None
    except tokens.ScopeMissing as refusal:
        raise _Refused(403, refusal.code, _("This token does not have the scope for reading costs.")) from None
    except tokens.TokenRefused as refusal:
        message = _("This token is unknown, expired or revoked, or its owner is disabled.")
        raise _Refused(401, refusal.code, message, WWW_Authenticate='Bearer error="invalid_token"') from None
    if not owner.is_staff:
        raise _Refused(403, "not_an_operator", _("Only operators may see this."))
    return owner


def build_figures(at: datetime, *, tables: frozenset[str] = permissions.ALL_TABLES) -> Json:
    """Return all figures at the time `at`. The details of alerts are empty unless `tables` includes "alerts"."""
    account = _find_account()
    costs = current_costs.read(at)
    states = budget_usage.list_states(at)
    pace = forecasts.measure_pace(costs.hours, at=at)
    available = provider_accounts.get_available_balance(account) if account else None
    above_critical = None if available is None else available - settings.CRITICAL_BALANCE_THRESHOLD
    return {
        "generatedAt": _time(at),
        "timeZone": settings.TIME_ZONE,
        "kieCreditsBalance": _number(account.balance if account else None),
        "balanceReadAt": _time(account.balance_at if account else None),
        "available": _number(available),  # the balance minus costs that it does not include yet
        "lowBalanceThreshold": _number(settings.LOW_BALANCE_THRESHOLD),
        "criticalBalanceThreshold": _number(settings.CRITICAL_BALANCE_THRESHOLD),
        "balanceCriticalAt": _time(
            None if above_critical is None else forecasts.estimate_end(above_critical, pace, at=at)
        ),
        "generation": _generation(account, states, above_critical, at),
        "today": _cost(costs.day),
        "thisHour": _cost(costs.hour),
        "thisMonth": _cost(costs.month),
        "limits": [_limit(state, pace, at) for state in states],
        "alerts": [
            _alert(alert, has_detail="alerts" in tables)
            for alert in Alert.objects.filter(resolved_at=None).order_by("-last_at")[:MAX_ALERTS]
        ],
    }


def _find_account() -> ProviderAccount | None:
    try:
        return provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        return None


def _generation(
    account: ProviderAccount | None, states: Sequence[State], above_critical: Decimal | None, at: datetime
) -> Json:
    """Return whether new videos are sent, and if not, why and until when.

    The reasons are checked in the same order as in `dashboard.headline`. Whether a worker runs is not checked here.
    """
    if account is None:
        return {"state": "no_key"}
    # The circuit breaker (`billing.guard.circuit_breaker`) stops calls while the provider fails.
    facts = {"account": account.label, "breaker": account.breaker}
    if account.is_paused_at(at):
        return {
            "state": "paused",
            **facts,
            "code": account.pause_code,
            "reason": provider_accounts.format_pause_reason(account),
            "since": _time(account.paused_at),
            "until": _time(account.paused_until),
        }
    # Parked: the provider refuses us, because we have no credits left or because of our key.
    if account.parked_as:
        return {"state": "parked", **facts, "code": account.parked_as, "since": _time(account.parked_at)}
    if provider_accounts.is_critical(account) or (above_critical is not None and above_critical <= 0):
        return {"state": "critical_balance", **facts}
    exhausted = budget_state.find_blocking_state(states)
    if exhausted is not None:
        until = _time(exhausted.window.ends_at)
        return {"state": "budget", **facts, "scope": exhausted.scope, "period": exhausted.period.value, "until": until}
    if account.breaker != ProviderAccount.Breaker.CLOSED:
        return {
            "state": "breaker",
            **facts,
            "until": _time(account.breaker_until),
            # Whether the breaker's pause is over; the next order is then sent alone, as a test.
            "rested": circuit_breaker.is_cooldown_over(account, at),
        }
    return {"state": "working", **facts}


def _cost(sums: Sums) -> Json:
    return {
        "tasksCount": int(sums[Measure.ORDERED]),
        "estimatedCost": _number(sums[Measure.ESTIMATED]),
        "actualCost": _number(sums[Measure.ACTUAL]),
        # The estimates of only those videos whose actual cost is known, to compare with actualCost.
        "settledEstimate": _number(sums[Measure.SETTLED_ESTIMATE]),
    }


def _limit(state: State, pace: Pace, at: datetime) -> Json:
    """Describe a budget in its current period. Only budgets of the whole site have a forecast (`spentAt`).

    The speed of spending is not known for a single user or model.
    """
    usable = state.usable if state.scope == ALL else None
    ends_at = None if usable is None else forecasts.estimate_end(usable, pace, at=at)
    return {
        "scope": state.scope,
        "period": state.period.value,
        "used": _number(state.used),
        "limit": _number(state.limit),
        "left": _number(state.room),
        "softShare": _number(state.soft_share),  # the share of the limit at which operators are warned
        "isSoft": state.is_soft,  # whether that share is reached
        "isSpent": state.is_spent,  # whether the rest is too small for the cheapest video
        "resetsAt": _time(state.window.ends_at),
        "spentAt": _time(ends_at) if ends_at is not None and ends_at < state.window.ends_at else None,
    }


def _alert(alert: Alert, *, has_detail: bool) -> Json:
    return {
        "kind": alert.kind,
        "severity": alert.severity,
        "title": str(alert.get_kind_display()),
        "detail": alert.detail if has_detail else "",
        "count": alert.count,
        "since": _time(alert.first_at),
        "lastAt": _time(alert.last_at),
        "acknowledged": alert.acknowledged_at is not None,
    }


def _number(amount: Decimal | None) -> int | float | None:
    """Return a JSON number, an integer if it is whole. A float keeps four decimals of amounts below 10^11."""
    if amount is None:
        return None
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")

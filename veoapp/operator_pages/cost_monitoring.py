"""`GET /api/admin/cost-monitoring`: what operators watch, as JSON, for their sessions and their tokens.

Amounts are provider credits, as JSON numbers with their fractions. Errors are `{"error": {"code", "message"}}`.
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
from billing.reports.forecasts import Pace
from billing.reports.readings import Sums
from veoapp.operator_pages.dashboard import rights

MOST_ALERTS = 100

Json = dict[str, Any]


class _Refused(Exception):
    """An answer that is not the figures: its status, code, words and headers."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.headers = status, code, message, headers


@csrf_exempt  # it only reads, and says 405 to the rest
def cost_monitoring(request: HttpRequest) -> JsonResponse:
    """The figures, or why not."""
    try:
        reader = _admit(request)
    except _Refused as refusal:
        response = JsonResponse({"error": {"code": refusal.code, "message": refusal.message}}, status=refusal.status)
        for name, value in refusal.headers.items():
            response[name.replace("_", "-")] = value
    else:
        response = JsonResponse(figures(clock.database_now(), tables=rights.tables_of(reader)))
    response["Cache-Control"] = "no-store"
    return response


def _admit(request: HttpRequest) -> User | AnonymousUser:
    """Operators by a strong session, or by a token of theirs made for this: who reads. A token that came decides alone."""
    if request.method not in ("GET", "HEAD"):
        raise _Refused(405, "method_not_allowed", _("Only GET is answered here."), Allow="GET, HEAD")
    if "Authorization" in request.headers:
        return _admit_token(request)
    if not request.user.is_authenticated:
        message = _("Sign in as an operator, or send a token: “Authorization: Bearer veo_…”.")
        raise _Refused(401, "not_signed_in", message, WWW_Authenticate="Bearer")
    if not request.user.is_staff:
        raise _Refused(403, "not_an_operator", _("Only operators may see this."))
    if not admin.site.has_permission(request):
        raise _Refused(403, "second_factor_missing", _("Open the operators' site first, and show your second factor."))
    return request.user


def _admit_token(request: HttpRequest) -> User:
    try:
        owner = tokens.authenticate(request, scope=tokens.COST_READ)
    except tokens.TooManyTries as refusal:
        message = _("Too many wrong tokens came from your address. Wait a minute.")
        raise _Refused(429, refusal.code, message, Retry_After=str(refusal.retry_after_s)) from None
    except tokens.ScopeMissing as refusal:
        raise _Refused(403, refusal.code, _("This token was not made for costs.")) from None
    except tokens.TokenRefused as refusal:
        message = _("This token is unknown, expired or revoked, or its owner is disabled.")
        raise _Refused(401, refusal.code, message, WWW_Authenticate='Bearer error="invalid_token"') from None
    if not owner.is_staff:
        raise _Refused(403, "not_an_operator", _("Only operators may see this."))
    return owner


def figures(at: datetime, *, tables: frozenset[str] = rights.ALL) -> Json:
    """Everything, at one moment. What alerts tell is empty for whom the first page does not show them."""
    account = _account()
    now = current_costs.read(at)
    states = budget_usage.list_states(at)
    pace = forecasts.pace(now.hours, at=at)
    available = provider_accounts.get_available_balance(account) if account else None
    above_critical = None if available is None else available - settings.CRITICAL_BALANCE_THRESHOLD
    return {
        "generatedAt": _time(at),
        "timeZone": settings.TIME_ZONE,
        "kieCreditsBalance": _number(account.balance if account else None),
        "balanceReadAt": _time(account.balance_at if account else None),
        "available": _number(available),
        "lowBalanceThreshold": _number(settings.LOW_BALANCE_THRESHOLD),
        "criticalBalanceThreshold": _number(settings.CRITICAL_BALANCE_THRESHOLD),
        "balanceCriticalAt": _time(None if above_critical is None else forecasts.ends_at(above_critical, pace, at=at)),
        "generation": _generation(account, states, above_critical, at),
        "today": _cost(now.day),
        "thisHour": _cost(now.hour),
        "thisMonth": _cost(now.month),
        "limits": [_limit(state, pace, at) for state in states],
        "alerts": [
            _alert(alert, has_detail="alerts" in tables)
            for alert in Alert.objects.filter(resolved_at=None).order_by("-last_at")[:MOST_ALERTS]
        ],
    }


def _account() -> ProviderAccount | None:
    try:
        return provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        return None


def _generation(
    account: ProviderAccount | None, states: Sequence[State], above_critical: Decimal | None, at: datetime
) -> Json:
    """Whether new videos are sent, and if not, why and until when: the same reasons in the same order as on the first page."""
    if account is None:
        return {"state": "no_key"}
    facts = {"account": account.label, "breaker": account.breaker}
    if account.is_paused_at(at):
        why = {"code": account.pause_code, "reason": provider_accounts.format_pause_reason(account)}
        return {
            "state": "paused",
            **facts,
            **why,
            "since": _time(account.paused_at),
            "until": _time(account.paused_until),
        }
    if account.parked_as:
        return {"state": "parked", **facts, "code": account.parked_as, "since": _time(account.parked_at)}
    if provider_accounts.is_critical(account) or (above_critical is not None and above_critical <= 0):
        return {"state": "critical_balance", **facts}
    spent = budget_state.find_blocking_state(states)
    if spent is not None:
        window = {"scope": spent.scope, "period": spent.period.value, "until": _time(spent.window.ends_at)}
        return {"state": "budget", **facts, **window}
    if account.breaker != ProviderAccount.Breaker.CLOSED:
        return {
            "state": "breaker",
            **facts,
            "until": _time(account.breaker_until),
            # Whatever is ordered next goes first, as the probe.
            "rested": circuit_breaker.has_rested(account, at),
        }
    return {"state": "working", **facts}


def _cost(sums: Sums) -> Json:
    return {
        "tasksCount": int(sums[Measure.ORDERED]),
        "estimatedCost": _number(sums[Measure.ESTIMATED]),
        "actualCost": _number(sums[Measure.ACTUAL]),
        # What the actual cost compares with: the estimate of the jobs whose cost is known.
        "settledEstimate": _number(sums[Measure.SETTLED_ESTIMATE]),
    }


def _limit(state: State, pace: Pace, at: datetime) -> Json:
    """One budget's window. A forecast is made of everything's alone: only its pace is known."""
    usable = state.usable if state.scope == ALL else None
    ends_at = None if usable is None else forecasts.ends_at(usable, pace, at=at)
    return {
        "scope": state.scope,
        "period": state.period.value,
        "used": _number(state.used),
        "limit": _number(state.limit),
        "left": _number(state.room),
        "softShare": _number(state.soft_share),
        "isSoft": state.is_soft,
        "isSpent": state.is_spent,
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
    """A JSON number: whole ones without a point; a float keeps the four decimals of any amount below 10^11 exactly."""
    if amount is None:
        return None
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")

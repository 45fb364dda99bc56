"""`GET /api/admin/cost-monitoring`: what operators watch, as JSON, for their sessions and their tokens.

Amounts are provider credits, as JSON numbers with their fractions. Errors are `{"error": {"code", "message"}}`.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _

from accounts import tokens
from accounts.doors import clock
from billing import budgets, cost_now, guard, provider_accounts
from billing.budgets import State
from billing.dashboard import forecasts
from billing.dashboard.forecasts import Pace
from billing.dashboard.readings import Sums
from billing.limits import ALL
from billing.models import Alert, Measure, ProviderAccount

MOST_ALERTS = 100

Json = dict[str, Any]


class _Refused(Exception):
    """An answer that is not the figures: its status, code, words and headers."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.headers = status, code, message, headers


def cost_monitoring(request: HttpRequest) -> JsonResponse:
    """The figures, or why not."""
    try:
        _admit(request)
    except _Refused as refusal:
        response = JsonResponse({"error": {"code": refusal.code, "message": refusal.message}}, status=refusal.status)
        for name, value in refusal.headers.items():
            response[name.replace("_", "-")] = value
    else:
        response = JsonResponse(figures(clock.database_now()))
    response["Cache-Control"] = "no-store"
    return response


def _admit(request: HttpRequest) -> None:
    """Operators by a strong session, or by a token of theirs made for this. A token that came decides alone."""
    if request.method not in ("GET", "HEAD"):
        raise _Refused(405, "method_not_allowed", _("Only GET is answered here."), Allow="GET, HEAD")
    if "Authorization" in request.headers:
        _admit_token(request)
    elif not request.user.is_authenticated:
        message = _("Sign in as an operator, or send a token: “Authorization: Bearer veo_…”.")
        raise _Refused(401, "not_signed_in", message, WWW_Authenticate="Bearer")
    elif not request.user.is_staff:
        raise _Refused(403, "not_an_operator", _("Only operators may see this."))
    elif not admin.site.has_permission(request):
        raise _Refused(403, "second_factor_missing", _("Open the operators' site first, and show your second factor."))


def _admit_token(request: HttpRequest) -> None:
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


def figures(at: datetime) -> Json:
    """Everything, at one moment."""
    account = _account()
    now = cost_now.read(at)
    pace = forecasts.pace(now.hours, at=at)
    available = (
        account.balance - provider_accounts.committed(account) if account and account.balance is not None else None
    )
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
        "generation": _generation(account, at),
        "today": _cost(now.day),
        "thisHour": _cost(now.hour),
        "thisMonth": _cost(now.month),
        "limits": [_limit(state, pace, at) for state in budgets.states(at)],
        "alerts": [
            _alert(alert) for alert in Alert.objects.filter(resolved_at=None).order_by("-last_at")[:MOST_ALERTS]
        ],
    }


def _account() -> ProviderAccount | None:
    try:
        return provider_accounts.current()
    except provider_accounts.NoProviderKey:
        return None


def _generation(account: ProviderAccount | None, at: datetime) -> Json:
    """Whether new videos are sent, and if not, why and until when."""
    if account is None:
        return {"state": "no_key"}
    facts = {"account": account.label, "breaker": account.breaker}
    if account.is_paused_at(at):
        why = {"code": account.pause_code, "reason": provider_accounts.pause_sentence(account)}
        return {
            "state": "paused",
            **facts,
            **why,
            "since": _time(account.paused_at),
            "until": _time(account.paused_until),
        }
    if account.parked_as:
        return {"state": "parked", **facts, "code": account.parked_as, "since": _time(account.parked_at)}
    if guard.is_critical(account):
        return {"state": "critical_balance", **facts}
    if account.breaker != ProviderAccount.Breaker.CLOSED:
        return {"state": "breaker", **facts, "until": _time(account.breaker_until)}
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
    ends_at = forecasts.ends_at(state.room, pace, at=at) if state.room is not None and state.scope == ALL else None
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


def _alert(alert: Alert) -> Json:
    return {
        "kind": alert.kind,
        "severity": alert.severity,
        "title": str(alert.get_kind_display()),
        "detail": alert.detail,
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

"""What may be spent, in provider credits: limits that operators set in the admin, else the environment's.

A limit of the admin's stands in place of the environment's: empty is no limit, zero is "nothing may be spent". In the
environment zero is no limit. Everything is read anew each time, so that a change works from the moment it is saved.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings

from accounts.models import User
from accounts.seams import clock
from billing.models import Budget, Period

Subject = Budget.Subject

ALL = "all"
SOFT_SHARE = Decimal("0.8")


@dataclass(frozen=True)
class Limit:
    """How much may be spent in one window (None: no limit), from which share on it warns, and who says so."""

    amount: Decimal | None
    soft_share: Decimal = SOFT_SHARE
    source: str = ""  # "admin", "environment", or nothing when nobody set one
    key: str = ""  # the budget that says so


def user_scope(user_id: int) -> str:
    """How windows name what one user spends."""
    return f"{Subject.USER}:{user_id}"


def model_scope(model: str) -> str:
    """How windows name what one model costs."""
    return f"{Subject.MODEL}:{model}"


def key_of(*, subject: str, period: str, user_id: int | None = None, model: str = "") -> str:
    """The name of a limit: `all:day`, `each_user:day`, `user:5:day`, `model:veo3_fast:hour`."""
    whose = {Subject.USER: f":{user_id}", Subject.MODEL: f":{model}"}.get(Subject(subject), "")
    return f"{subject}{whose}:{period}"


def set_limit(
    *,
    subject: str,
    period: str,
    limit: Decimal | None,
    soft_share: Decimal = SOFT_SHARE,
    user: User | None = None,
    model: str = "",
    actor: User | None,
) -> Budget:
    """Set a limit in place of whatever held so far."""
    budget, _ = Budget.objects.update_or_create(
        key=key_of(subject=subject, period=period, user_id=user.pk if user else None, model=model),
        defaults={"limit": limit, "soft_share": soft_share, "changed_at": clock.now(), "changed_by": actor},
        create_defaults={
            "subject": subject,
            "period": period,
            "user": user,
            "model": model,
            "limit": limit,
            "soft_share": soft_share,
            "changed_at": clock.now(),
            "changed_by": actor,
        },
    )
    return budget


def from_environment() -> dict[str, Limit]:
    """The environment's limits, by key; those it does not set are left out."""
    amounts = {
        key_of(subject=Subject.ALL, period=Period.HOUR): settings.HOURLY_COST_LIMIT,
        key_of(subject=Subject.ALL, period=Period.DAY): settings.DAILY_COST_LIMIT,
        key_of(subject=Subject.ALL, period=Period.MONTH): settings.MONTHLY_COST_LIMIT,
        key_of(subject=Subject.EACH_USER, period=Period.DAY): settings.USER_DAILY_COST_LIMIT,
    }
    return {key: Limit(amount, source="environment", key=key) for key, amount in amounts.items() if amount}


def limits_of(scopes: Iterable[str]) -> dict[tuple[str, str], Limit]:
    """What holds for these scopes, by scope and period. One query."""
    scopes = list(scopes)
    wanted = {key for scope in scopes for period in Period.values for key in _keys(scope, period)}
    return among(said(Budget.objects.filter(key__in=wanted)), scopes)


def said(budgets: Iterable[Budget]) -> dict[str, Limit]:
    """What these budgets say, and what the environment says where they do not, by key."""
    return from_environment() | {
        budget.key: Limit(budget.limit, budget.soft_share, source="admin", key=budget.key) for budget in budgets
    }


def among(said: Mapping[str, Limit], scopes: Iterable[str]) -> dict[tuple[str, str], Limit]:
    """What holds for these scopes, by scope and period, of all that is said."""
    keys = {(scope, period): _keys(scope, period) for scope in scopes for period in Period.values}
    return {place: next((said[key] for key in some if key in said), Limit(None)) for place, some in keys.items()}


def _keys(scope: str, period: str) -> list[str]:
    """Which budgets may speak for a window, the nearest first."""
    own = [f"{scope}:{period}"]
    if scope.startswith(f"{Subject.USER}:"):
        own.append(key_of(subject=Subject.EACH_USER, period=period))
    return own

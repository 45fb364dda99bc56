"""Spending limits in provider credits. A limit is set in the admin or in the environment.

A limit applies to one scope and one period. The scope is all videos (`all`), one user (`user:5`) or one model
(`model:veo3_fast`). A limit set in the admin replaces the one from the environment: an empty value means no limit, and
zero means that nothing may be spent. In the environment zero means no limit. Limits are read for every decision, so
that a change applies as soon as it is saved.
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
# The default warning threshold: the fraction of a limit from which on operators are warned and new jobs are slowed down.
SOFT_SHARE = Decimal("0.8")


@dataclass(frozen=True)
class Limit:
    """How much may be spent in one window, the warning threshold as a fraction of it, and where the limit is set.

    `amount` is None if there is no limit.
    """

    amount: Decimal | None
    soft_share: Decimal = SOFT_SHARE
    source: str = ""  # "admin", "environment", or empty when no limit is set
    key: str = ""  # the key under which the limit is set (see `limit_key`); empty when no limit is set


def user_scope(user_id: int) -> str:
    """The scope of one user's spending."""
    return f"{Subject.USER}:{user_id}"


def model_scope(model: str) -> str:
    """The scope of one model's spending."""
    return f"{Subject.MODEL}:{model}"


def limit_key(*, subject: str, period: str, user_id: int | None = None, model: str = "") -> str:
    """The key of a limit: `all:day`, `each_user:day`, `user:5:day`, `model:veo3_fast:hour`."""
    owner = {Subject.USER: f":{user_id}", Subject.MODEL: f":{model}"}.get(Subject(subject), "")
    return f"{subject}{owner}:{period}"


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
    """Store a limit set in the admin. It replaces an earlier limit with the same key."""
    budget, _ = Budget.objects.update_or_create(
        key=limit_key(subject=subject, period=period, user_id=user.pk if user else None, model=model),
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


def environment_limits() -> dict[str, Limit]:
    """The limits that the environment sets, by key."""
    amounts = {
        limit_key(subject=Subject.ALL, period=Period.HOUR): settings.HOURLY_COST_LIMIT,
        limit_key(subject=Subject.ALL, period=Period.DAY): settings.DAILY_COST_LIMIT,
        limit_key(subject=Subject.ALL, period=Period.MONTH): settings.MONTHLY_COST_LIMIT,
        limit_key(subject=Subject.EACH_USER, period=Period.DAY): settings.USER_DAILY_COST_LIMIT,
    }
    return {key: Limit(amount, source="environment", key=key) for key, amount in amounts.items() if amount}


def limits_for(scopes: Iterable[str]) -> dict[tuple[str, str], Limit]:
    """Return the limits in force for these scopes, by (scope, period). Needs one query."""
    scopes = list(scopes)
    keys = {key for scope in scopes for period in Period.values for key in _candidate_keys(scope, period)}
    return resolve_limits(effective_limits(Budget.objects.filter(key__in=keys)), scopes)


def effective_limits(budgets: Iterable[Budget]) -> dict[str, Limit]:
    """The limits of these budgets by key, and those of the environment for keys without a budget."""
    return environment_limits() | {
        budget.key: Limit(budget.limit, budget.soft_share, source="admin", key=budget.key) for budget in budgets
    }


def resolve_limits(limits: Mapping[str, Limit], scopes: Iterable[str]) -> dict[tuple[str, str], Limit]:
    """Choose the limits in force for these scopes, by (scope, period), from `limits` by key."""
    return {
        (scope, period): next((limits[key] for key in _candidate_keys(scope, period) if key in limits), Limit(None))
        for scope in scopes
        for period in Period.values
    }


def _candidate_keys(scope: str, period: str) -> list[str]:
    """Keys of the limits that may apply to a window, the most specific first."""
    keys = [f"{scope}:{period}"]
    if scope.startswith(f"{Subject.USER}:"):
        keys.append(limit_key(subject=Subject.EACH_USER, period=period))
    return keys

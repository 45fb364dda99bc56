"""Helpers of the budget tests: limits, a price, promises that must be refused, and alerts."""

from decimal import Decimal

import pytest

from billing.budgets.limits import set_limit
from billing.budgets.state import State
from billing.budgets.usage import BudgetSpent
from billing.costs import spend
from billing.models import Alert, Budget, BudgetWindow, ProviderAccount, Spend
from billing.pricing import prices
from billing.pricing.prices import Quote


def set_test_limit(amount: str | None, *, period: str = "day", subject: str = "all", **owner: object) -> Budget:
    """Set a limit in the admin; `amount` None means no limit, `owner` is a user or a model."""
    limit = None if amount is None else Decimal(amount)
    return set_limit(subject=subject, period=period, limit=limit, actor=None, **owner)  # type: ignore[arg-type]


def fast_quote() -> Quote:
    return prices.get_quote(model="veo3_fast", resolution="720p")


def expect_refusal(job: Spend, account: ProviderAccount) -> State:
    """Check that a promise for this job is refused and counts nothing; returns the window without room."""
    before = sorted(BudgetWindow.objects.values_list("scope", "period", "used"))
    with pytest.raises(BudgetSpent) as error:
        spend.promise(spend=job, account=account)
    after = [row for row in sorted(BudgetWindow.objects.values_list("scope", "period", "used")) if row[2]]
    assert after == [row for row in before if row[2]], "no window was changed"
    job.refresh_from_db()
    assert (job.state, job.counted, job.counted_in) == ("estimated", 0, [])
    return error.value.state


def list_alerts(kind: str) -> list[tuple[str, int, bool]]:
    """Cause, count and whether it is open, of each alert of this kind."""
    rows = Alert.objects.filter(kind=kind).order_by("id")
    return [(alert.cause, alert.count, alert.resolved_at is None) for alert in rows]

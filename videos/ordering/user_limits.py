"""A user's limits, shown before they are reached: how many videos may be in progress, and how much may still be ordered."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings

from accounts.models import User
from billing.budgets import usage as budget_usage
from billing.models import Spend
from billing.pricing import prices as pricing
from billing.pricing.prices import Quote
from videos.ordering import catalogue


@dataclass(frozen=True)
class OrderAllowance:
    """What a user may still order until `until`.

    A user may have a budget per hour, day and month; this is about the one of which the least remains.
    """

    period: str  # hour, day or month
    until: datetime
    remaining: Decimal  # provider credits
    percent_used: int
    is_nearly_used_up: bool
    videos_left: list[tuple[str, int]]  # the title of each model, and about how many more of its videos can be ordered

    def count_affordable(self, quote: Quote) -> int:
        """How many more videos at this price the allowance covers."""
        return int(self.remaining // quote.provider_credits)


@dataclass(frozen=True)
class UserLimits:
    """A user's limits and their use. `allowance` is None if no budget limits this user."""

    active: int
    max_active: int
    allowance: OrderAllowance | None

    @property
    def is_near_maximum(self) -> bool:
        """Whether at least half of the allowed number of videos is in progress, so that the limit is worth showing."""
        return self.active * 2 >= self.max_active


def get_limits(user: User) -> UserLimits:
    """This user's limits now. It takes four database queries, or two if no budget limits this user."""
    active = Spend.objects.filter(user=user).exclude(state=Spend.State.SETTLED).count()
    allowance = budget_usage.user_allowance(user)
    return UserLimits(active, settings.MAX_ACTIVE_PER_USER, None if allowance is None else _build_allowance(allowance))


def _build_allowance(allowance: budget_usage.Allowance) -> OrderAllowance:
    state, remaining = allowance.state, allowance.left
    limit = state.limit or Decimal(0)
    used = limit - remaining
    prices = {
        quote.model: quote.provider_credits
        for quote in pricing.list_current_quotes()
        if quote.resolution == "720p" and quote.kind == pricing.Kind.GENERATE
    }
    return OrderAllowance(
        period=state.period,
        until=state.window.ends_at,
        remaining=remaining,
        percent_used=round(100 * used / limit) if limit else 100,
        is_nearly_used_up=used >= limit * state.soft_share,
        videos_left=[
            (model.title.removeprefix("Veo 3.1 "), int(remaining // prices[model.name]))
            for model in catalogue.CATALOGUE
            if model.name in prices and remaining >= prices[model.name]
        ],
    )

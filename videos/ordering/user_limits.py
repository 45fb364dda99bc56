"""What a person meets before hitting it: how many videos may be on the way, and how much may still be ordered until when."""

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
    """What one person may still order until `until`, by the window that leaves least."""

    period: str  # hour, day or month
    until: datetime
    left: Decimal  # provider credits
    percent: int  # of what one may order, used or ordered already
    is_soft: bool  # almost nothing is left
    videos: list[tuple[str, int]]  # about how many more, by what people call the model

    def more_of(self, quote: Quote) -> int:
        """How many more videos at this price."""
        return int(self.left // quote.provider_credits)


@dataclass(frozen=True)
class UserLimits:
    """Where one person stands. `room` is None when nobody limits what may be ordered."""

    active: int
    most_active: int
    room: OrderAllowance | None

    @property
    def is_crowded(self) -> bool:
        """Whether so many videos are on the way that it is good to know how many may be."""
        return self.active * 2 >= self.most_active


def get_limits(user: User) -> UserLimits:
    """Where this person stands now. Four queries, or two when nobody limits what may be ordered."""
    active = Spend.objects.filter(user=user).exclude(state=Spend.State.SETTLED).count()
    allowance = budget_usage.user_allowance(user)
    return UserLimits(active, settings.MAX_ACTIVE_PER_USER, None if allowance is None else _order_allowance(allowance))


def _order_allowance(allowance: budget_usage.Allowance) -> OrderAllowance:
    state, left = allowance.state, allowance.left
    limit = state.limit or Decimal(0)
    taken = limit - left
    prices = {
        quote.model: quote.provider_credits
        for quote in pricing.list_current_quotes()
        if quote.resolution == "720p" and quote.kind == pricing.Kind.GENERATE
    }
    return OrderAllowance(
        period=state.period,
        until=state.window.ends_at,
        left=left,
        percent=round(100 * taken / limit) if limit else 100,
        is_soft=taken >= limit * state.soft_share,
        videos=[
            (model.title.removeprefix("Veo 3.1 "), int(left // prices[model.name]))
            for model in catalogue.CATALOGUE
            if model.name in prices and left >= prices[model.name]
        ],
    )

"""Budgets where an order is taken: what would not be sent within the time we promise is refused, and says when to come back.

A user's own limit refuses at once, for the user knows best what to do with what is left. A limit of everybody's lets an
order wait for the next window if that begins soon enough. Nothing is counted here: that happens when money leaves.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils.translation import gettext

from accounts.models import User
from billing.budgets import alerts as budget_alerts
from billing.budgets import pacing
from billing.budgets import usage as budget_usage
from billing.budgets.limits import Subject
from billing.budgets.usage import State
from billing.common.formatting import format_moment
from billing.common.periods import next_window
from billing.common.refusal import Refusal
from billing.pricing import prices
from billing.pricing.prices import Quote


class BudgetRefusal(Refusal):
    """A budget has no room for an order until then (None: ever); `smaller`: there is some for a cheaper video."""

    def __init__(self, *, state: State, until: datetime | None, smaller: bool, **facts: Any) -> None:
        super().__init__(until=until, smaller=smaller, **facts)
        self.state = state
        self.until = until

    def told(self) -> dict[str, Any]:
        """The facts, with the time as the reader's clock shows it."""
        return {**self.facts, "time": format_moment(self.until) if self.until else ""}


class UserBudgetSpent(BudgetRefusal):
    """What one user may spend is spent or ordered."""

    code = "user_budget_spent"

    def sentence(self) -> str:
        if self.facts["smaller"]:
            return (
                gettext(
                    "This video costs %(price)d credits, and until %(time)s you may order for about %(left)d more. "
                    "Choose a cheaper model or resolution, or come back then. Nothing was charged."
                )
                % self.told()
            )
        return (
            gettext(
                "You have ordered as much as one person may until %(time)s. Nothing was charged; please come back then."
            )
            % self.told()
        )


class SiteBudgetSpent(BudgetRefusal):
    """What may be spent by all, or on this model, is spent or ordered for longer than we let people wait."""

    code = "budget_spent"

    def sentence(self) -> str:
        if self.state.subject == Subject.MODEL:
            return (
                gettext(
                    "The budget for this model is spent until %(time)s. "
                    "Nothing was charged; choose another model, or come back then."
                )
                % self.told()
            )
        if self.facts["smaller"]:
            return (
                gettext(
                    "Until %(time)s the budget for new videos is too small for this one. "
                    "Choose a cheaper model or resolution, or come back then. Nothing was charged."
                )
                % self.told()
            )
        return (
            gettext("The budget for new videos is spent until %(time)s. Nothing was charged; please come back then.")
            % self.told()
        )


class SlowedDown(BudgetRefusal):
    """So much is spent already that the rest is given out slowly, and this order's turn comes later than we promise."""

    code = "budget_pace"

    def sentence(self) -> str:
        return (
            gettext(
                "Most of the budget for new videos is spent, so the rest starts slowly: this one at %(time)s. "
                "Nothing was charged; please come back then."
            )
            % self.told()
        )


class AboveLimit(BudgetRefusal):
    """The estimate is larger than a whole limit: waiting would not help."""

    code = "above_limit"

    def sentence(self) -> str:
        if self.facts["smaller"]:
            return gettext(
                "This video costs more than the operator allows. "
                "Choose a cheaper model or resolution; nothing was charged."
            )
        return gettext(
            "The operator allows no new videos just now: the limit is below what any of them costs. "
            "Nothing was charged."
        )


@dataclass(frozen=True)
class Delay:
    """An order is taken, and waits for a budget until then. `code` is that of the wait to come."""

    code: str
    until: datetime


@dataclass(frozen=True)
class Verdict:
    """What budgets make of an order: a refusal, or a delay, or (neither) nothing. Of several the one that lasts longest."""

    refusal: BudgetRefusal | None
    delay: Delay | None


def refusal_of(*, user: User, quote: Quote, at: datetime) -> BudgetRefusal | None:
    """Why budgets do not allow this order now, the reason that lasts longest; None when they do.

    Who takes the order holds the user's purse, so that of one user's orders none slips past the user's limit.
    """
    return verdict(user=user, quote=quote, at=at).refusal


def verdict(*, user: User, quote: Quote, at: datetime) -> Verdict:
    """What budgets make of this order now, behind everything that waits already."""
    scopes = budget_usage.scopes_of(user_id=user.pk, model=quote.model)
    ahead = budget_usage.waiting(user_id=user.pk, model=quote.model)
    found = [
        _reason(state, quote=quote, ahead=ahead[state.scope], at=at) for state in budget_usage.states_of(scopes, at)
    ]
    refusals = [reason for reason in found if isinstance(reason, BudgetRefusal)]
    delays = [reason for reason in found if isinstance(reason, Delay)]
    return Verdict(
        max(refusals, key=lambda reason: (reason.until is None, reason.until or at), default=None),
        max(delays, key=lambda reason: reason.until, default=None),
    )


def wait_code(state: State) -> str:
    """How a wait for this budget is called."""
    return f"budget_{state.period if state.subject == Subject.ALL else state.subject}"


def tell(refusal: BudgetRefusal) -> None:
    """Tell operators that a budget turns orders away. A limit below a single price was their own decision, a slow end a help."""
    if not isinstance(refusal, AboveLimit | SlowedDown):
        budget_alerts.tell_spent(refusal.state)


def _reason(state: State, *, quote: Quote, ahead: Decimal, at: datetime) -> BudgetRefusal | Delay | None:
    amount = quote.provider_credits
    promise = at + timedelta(minutes=settings.MAX_QUEUE_WAIT_MINUTES)
    if state.limit is None or state.room is None:
        return None
    if state.room >= ahead + amount:
        freed_at = pacing.free_at(state, amount, at, ahead=ahead)
        if freed_at is None:
            return None
        if freed_at <= promise:
            return Delay(SlowedDown.code, freed_at)
        return SlowedDown(state=state, until=freed_at, smaller=False)
    left = max(state.room - ahead, Decimal(0))
    if amount > state.limit:
        return AboveLimit(state=state, until=None, smaller=_smaller_fits(quote, state, state.limit))
    smaller = _smaller_fits(quote, state, left)
    if state.subject == Subject.USER:
        worth = int(left * quote.user_credits / amount)
        return UserBudgetSpent(
            state=state, until=state.window.ends_at, smaller=smaller, left=worth, price=quote.user_credits
        )
    starts_at = _room_at(state, state.limit, missing=ahead + amount - state.room)
    if starts_at <= promise:
        return Delay(wait_code(state), starts_at)
    return SiteBudgetSpent(state=state, until=starts_at, smaller=smaller)


def _room_at(state: State, limit: Decimal, *, missing: Decimal) -> datetime:
    """When the window begins that has room for what is missing in this one."""
    one = next_window(state.window)
    while missing > limit:
        one, missing = next_window(one), missing - limit
    return one.starts_at


def _smaller_fits(quote: Quote, state: State, left: Decimal) -> bool:
    """Whether something cheaper of the same kind is sold that what is left allows."""
    return any(
        other.kind == quote.kind and other.user_credits < quote.user_credits
        for other in prices.list_current_quotes()
        if other.provider_credits <= left or (state.subject == Subject.MODEL and other.model != quote.model)
    )

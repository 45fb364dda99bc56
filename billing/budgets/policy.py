"""What budgets mean for a new order: it is refused if its job could not be sent within the maximum wait.

The maximum wait is MAX_QUEUE_WAIT_MINUTES. When a user's own limit has no room, the order is refused immediately,
because the user decides how to use the remainder. A limit for all videos or for a model lets an order wait for the next
window (the next hour, day or month) if that starts soon enough. The cost of an order is counted when its job is sent
(see `usage`).
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
from billing.budgets.state import State
from billing.common.formatting import format_moment
from billing.common.periods import next_window
from billing.common.refusal import Refusal
from billing.pricing import prices
from billing.pricing.prices import Quote


class BudgetRefusal(Refusal):
    """A budget has no room for an order before `until`; None means that it will never have room.

    `smaller` says whether a cheaper video would fit.
    """

    def __init__(self, *, state: State, until: datetime | None, smaller: bool, **facts: Any) -> None:
        super().__init__(until=until, smaller=smaller, **facts)
        self.state = state
        self.until = until

    def formatted_facts(self) -> dict[str, Any]:
        """The facts, with `time` in the reader's time zone."""
        return {**self.facts, "time": format_moment(self.until) if self.until else ""}


class UserBudgetSpent(BudgetRefusal):
    """The user's own limit is spent, or the jobs of the user that wait to be sent will spend it."""

    code = "user_budget_spent"

    def sentence(self) -> str:
        if self.facts["smaller"]:
            return (
                gettext(
                    "This video costs %(price)d credits, but your limit until %(time)s has only about %(left)d "
                    "credits left. Choose a cheaper model or resolution, or try again then. Nothing was charged."
                )
                % self.formatted_facts()
            )
        return (
            gettext("You have reached your limit until %(time)s. Nothing was charged; please try again then.")
            % self.formatted_facts()
        )


class SiteBudgetSpent(BudgetRefusal):
    """The limit for all videos or for this model has no room within the maximum wait."""

    code = "budget_spent"

    def sentence(self) -> str:
        if self.state.subject == Subject.MODEL:
            return (
                gettext(
                    "The budget for this model is spent until %(time)s. "
                    "Nothing was charged; choose another model, or try again then."
                )
                % self.formatted_facts()
            )
        if self.facts["smaller"]:
            return (
                gettext(
                    "Until %(time)s the budget for new videos is too small for this one. "
                    "Choose a cheaper model or resolution, or try again then. Nothing was charged."
                )
                % self.formatted_facts()
            )
        return (
            gettext("The budget for new videos is spent until %(time)s. Nothing was charged; please try again then.")
            % self.formatted_facts()
        )


class SlowedDown(BudgetRefusal):
    """Pacing would delay this order beyond the maximum wait."""

    code = "budget_pace"

    def sentence(self) -> str:
        return (
            gettext(
                "Most of the budget for new videos is spent, so new videos start slowly; this one could start at "
                "%(time)s. Nothing was charged; please try again then."
            )
            % self.formatted_facts()
        )


class AboveLimit(BudgetRefusal):
    """The estimate exceeds a whole limit, so waiting would not help."""

    code = "above_limit"

    def sentence(self) -> str:
        if self.facts["smaller"]:
            return gettext(
                "This video costs more than the operator allows. "
                "Choose a cheaper model or resolution; nothing was charged."
            )
        return gettext(
            "No new videos can be made now: the operator's limit is below the cost of every video. Nothing was charged."
        )


@dataclass(frozen=True)
class Delay:
    """The order is accepted, and its job waits for a budget until `until`. `wait_reasons` explains `code`."""

    code: str
    until: datetime


@dataclass(frozen=True)
class Decision:
    """The effect of budgets on an order: a refusal, a delay, or neither. Of several, the longest is given."""

    refusal: BudgetRefusal | None
    delay: Delay | None


def find_refusal(*, user: User, quote: Quote, at: datetime) -> BudgetRefusal | None:
    """Why budgets refuse this order now; None if they allow it.

    The caller has locked the user's credit account, so that parallel orders of one user cannot exceed the user's limit.
    """
    return decide(user=user, quote=quote, at=at).refusal


def decide(*, user: User, quote: Quote, at: datetime) -> Decision:
    """Decide the effect of budgets on this order now, assuming that all waiting jobs are sent first."""
    scopes = budget_usage.job_scopes(user_id=user.pk, model=quote.model)
    ahead = budget_usage.waiting_estimates(user_id=user.pk, model=quote.model)
    effects = [
        _check_window(state, quote=quote, ahead=ahead[state.scope], at=at)
        for state in budget_usage.states_for(scopes, at)
    ]
    refusals = [effect for effect in effects if isinstance(effect, BudgetRefusal)]
    delays = [effect for effect in effects if isinstance(effect, Delay)]
    return Decision(
        max(refusals, key=lambda refusal: (refusal.until is None, refusal.until or at), default=None),
        max(delays, key=lambda delay: delay.until, default=None),
    )


def wait_code(state: State) -> str:
    """The code of a wait for this budget (see `wait_reasons`)."""
    return f"budget_{state.period if state.subject == Subject.ALL else state.subject}"


def alert_operators(refusal: BudgetRefusal) -> None:
    """Raise an alert that a budget refuses orders, unless the refusal simply follows from how operators set the limit."""
    if not isinstance(refusal, AboveLimit | SlowedDown):
        budget_alerts.raise_spent_alert(refusal.state)


def _check_window(state: State, *, quote: Quote, ahead: Decimal, at: datetime) -> BudgetRefusal | Delay | None:
    # `ahead` is the estimated cost of the jobs that wait and will be sent before this one.
    amount = quote.provider_credits
    latest_start = at + timedelta(minutes=settings.MAX_QUEUE_WAIT_MINUTES)
    if state.limit is None or state.room is None:
        return None
    if state.room >= ahead + amount:
        freed_at = pacing.earliest_start(state, amount, at, ahead=ahead)
        if freed_at is None:
            return None
        if freed_at <= latest_start:
            return Delay(SlowedDown.code, freed_at)
        return SlowedDown(state=state, until=freed_at, smaller=False)
    remaining = max(state.room - ahead, Decimal(0))
    if amount > state.limit:
        return AboveLimit(state=state, until=None, smaller=_cheaper_option_fits(quote, state, state.limit))
    smaller = _cheaper_option_fits(quote, state, remaining)
    if state.subject == Subject.USER:
        credits_left = int(remaining * quote.user_credits / amount)
        return UserBudgetSpent(
            state=state, until=state.window.ends_at, smaller=smaller, left=credits_left, price=quote.user_credits
        )
    starts_at = _room_available_at(state, state.limit, missing=ahead + amount - state.room)
    if starts_at <= latest_start:
        return Delay(wait_code(state), starts_at)
    return SiteBudgetSpent(state=state, until=starts_at, smaller=smaller)


def _room_available_at(state: State, limit: Decimal, *, missing: Decimal) -> datetime:
    """The start of the first later window that has room for the missing amount."""
    window = next_window(state.window)
    while missing > limit:
        window, missing = next_window(window), missing - limit
    return window.starts_at


def _cheaper_option_fits(quote: Quote, state: State, remaining: Decimal) -> bool:
    """Whether a cheaper video of the same kind costs no more than `remaining`, or uses a model without this limit."""
    return any(
        other.kind == quote.kind and other.user_credits < quote.user_credits
        for other in prices.list_current_quotes()
        if other.provider_credits <= remaining or (state.subject == Subject.MODEL and other.model != quote.model)
    )

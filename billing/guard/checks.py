"""The guard before every paid call, in two places.

When a video is ordered, `check_order` may raise a `Refusal`: nothing is charged, and the text of the refusal
says what to do. Before a job is sent, `check_dispatch` may return a `Wait`: the job stays in the queue, and the `Wait`
holds the reason, the time of the next check and the probable start.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from django.conf import settings
from django.utils.translation import gettext, ngettext

from accounts.models import User
from accounts.seams import clock
from billing.budgets import pacing
from billing.budgets import policy as budget_policy
from billing.budgets import usage as budget_usage
from billing.budgets.state import State
from billing.common.formatting import format_moment
from billing.common.refusal import Refusal as Refusal
from billing.costs import spend
from billing.guard import circuit_breaker, user_holds
from billing.models import CreditAccount, ProviderAccount, Spend, UserHold
from billing.pricing import prices
from billing.pricing.prices import Quote
from billing.provider.accounts import BALANCE_FRESH_FOR, format_pause_reason, is_critical, lacks_balance


class Paused(Refusal):
    """An operator or the spending monitor has paused the new videos of all users, and gave a reason."""

    code = "paused"

    def sentence(self) -> str:
        if self.facts.get("until") is None:
            return (
                gettext("New videos are paused (%(reason)s). Nothing was charged; please try again later.") % self.facts
            )
        return gettext("New videos are paused until %(time)s (%(reason)s). Nothing was charged.") % {
            **self.facts,
            "time": format_moment(self.facts["until"]),
        }


class Held(Refusal):
    """The new videos of this user are held by the spending monitor, or by an operator with a reason."""

    code = "held"

    def sentence(self) -> str:
        until = self.facts["until"]
        facts = {**self.facts, "time": format_moment(until) if until else ""}
        if self.facts["reason"]:
            if until is None:
                return gettext("An operator holds your new videos (%(reason)s). Nothing was charged.") % facts
            return (
                gettext("An operator holds your new videos until %(time)s (%(reason)s). Nothing was charged.") % facts
            )
        if until is None:
            return gettext(
                "You ordered unusually many videos in a short time; an operator has to review this first. Nothing "
                "was charged, and your existing videos are not affected."
            )
        return (
            gettext(
                "You ordered unusually many videos in a short time; you can order again from %(time)s, or as soon "
                "as an operator has reviewed this. Nothing was charged, and your existing videos are not "
                "affected."
            )
            % facts
        )


def refusal_for_hold(hold: UserHold) -> Held:
    """The refusal for a user under this hold."""
    return Held(reason=hold.reason.rstrip(" .。"), until=hold.until)


class ProviderUnavailable(Refusal):
    """The provider account is out of credits, or the provider refuses it."""

    code = "provider_at_rest"  # no new work is sent to the provider

    def sentence(self) -> str:
        return gettext(
            "No new videos can be made now: there is a problem with the account at the provider, and the operator "
            "has been notified. Nothing was charged; please try again later."
        )


class NotEnoughCredits(Refusal):
    """The user's balance is smaller than the price."""

    code = "not_enough_credits"

    def sentence(self) -> str:
        return (
            gettext(
                "This video costs %(price)d credits and you have %(balance)d. "
                "Choose a cheaper model or resolution, or ask the operator for credits."
            )
            if self.facts["cheaper"]
            else gettext("This video costs %(price)d credits and you have %(balance)d. Ask the operator for credits.")
        ) % self.facts


class TooManyActive(Refusal):
    """The user has reached the maximum number of unfinished videos."""

    code = "too_many_active"

    def sentence(self) -> str:
        return (
            ngettext(
                "You already have %(limit)d video on the way, the most at a time. Wait for it, or cancel it.",
                "You already have %(limit)d videos on the way, the most at a time. Wait for one, or cancel one.",
                self.facts["limit"],
            )
            % self.facts
        )


class QueueTooLong(Refusal):
    """The expected wait exceeds the maximum wait (MAX_QUEUE_WAIT_MINUTES)."""

    code = "queue_too_long"

    def sentence(self) -> str:
        return (
            gettext(
                "Many videos are waiting: yours would start in about %(minutes)d minutes, and the maximum wait is "
                "%(promise)d. Nothing was charged; please try again later."
            )
            % self.facts
        )


def check_order(
    *,
    user: User,
    credit_account: CreditAccount,
    quote: Quote,
    provider_account: ProviderAccount,
    expected_wait_s: float,
) -> None:
    """Raise a Refusal unless the order may be charged. The caller has locked `credit_account`."""
    if provider_account.is_paused_at(clock.database_now()):
        raise Paused(reason=format_pause_reason(provider_account), until=provider_account.paused_until)
    if (hold := user_holds.find_active_hold(user.pk)) is not None:
        raise refusal_for_hold(hold)
    if provider_account.parked_as or is_critical(provider_account):
        raise ProviderUnavailable()
    unfinished = Spend.objects.filter(user=user).exclude(state=Spend.State.SETTLED).count()
    if unfinished >= settings.MAX_ACTIVE_PER_USER:
        raise TooManyActive(limit=settings.MAX_ACTIVE_PER_USER)
    if credit_account.balance < quote.user_credits:
        cheaper = any(
            other.kind == quote.kind and other.user_credits <= credit_account.balance
            for other in prices.list_current_quotes()
        )
        raise NotEnoughCredits(price=quote.user_credits, balance=credit_account.balance, cheaper=cheaper)
    if (refusal := budget_policy.find_refusal(user=user, quote=quote, at=clock.database_now())) is not None:
        raise refusal
    if expected_wait_s > settings.MAX_QUEUE_WAIT_MINUTES * 60:
        # `promise` is the maximum wait in minutes; the text and its translations use this name.
        raise QueueTooLong(minutes=ceil(expected_wait_s / 60), promise=settings.MAX_QUEUE_WAIT_MINUTES)


# A job that waits for a budget starts within this time after an operator raised the limit.
BUDGET_RECHECK_INTERVAL = timedelta(seconds=15)
# Codes of a `Wait`: the job costs more than the whole limit; pacing delays the job.
ABOVE_LIMIT, SLOWED = "budget_limit", budget_policy.SlowedDown.code


@dataclass(frozen=True)
class Wait:
    """Why a queued job does not start now, and when to check again. `wait_reasons` has the texts of the codes.

    `ends_at` is the probable end of the reason, if it is known and later than `until`. `exhausted_budget` is the budget
    window that has no room for this job.
    """

    code: str
    until: datetime  # the next check
    ends_at: datetime | None = None
    exhausted_budget: State | None = None


def check_dispatch(*, estimate: Spend, account: ProviderAccount, running: int, running_of_user: int) -> Wait | None:
    """The reason why the job cannot be sent now; None if it can.

    A caller that sends the job must hold the account's lock; a caller that shows the reason need not. If the circuit
    breaker is open and its cooldown is over, None means that one probe may be sent (`circuit_breaker.start_probe`).
    """
    at = clock.database_now()
    if account.is_paused_at(at):
        return Wait("paused", at + timedelta(seconds=15), ends_at=account.paused_until)
    if (hold := user_holds.find_active_hold(estimate.user_id)) is not None:
        return Wait("held", at + timedelta(seconds=15), ends_at=hold.until)
    if account.parked_as:
        return Wait(account.parked_as, at + timedelta(seconds=15))
    if (next_at := circuit_breaker.next_call_at(account, at)) is not None:
        return Wait("rate" if account.breaker == circuit_breaker.State.CLOSED else "breaker", next_at)
    if account.balance is None or account.balance_at is None or at - account.balance_at > BALANCE_FRESH_FOR:
        return Wait("balance_unknown", at + timedelta(seconds=2))
    if lacks_balance(account, estimate.estimated):
        return Wait("balance", at + timedelta(seconds=15))
    # This is only a first check: the conditional update in `spend.promise` decides, in the same transaction.
    states = budget_usage.states_for(budget_usage.job_scopes(user_id=estimate.user_id, model=estimate.model), at)
    shortage = budget_usage.find_shortage(states, estimate.estimated)
    if shortage is not None:
        return budget_wait(shortage, estimate=estimate, at=at)
    if (freed_at := pacing.slowed_until(states, estimate.estimated, at)) is not None:
        return Wait(SLOWED, min(freed_at, at + BUDGET_RECHECK_INTERVAL), ends_at=freed_at)
    # A slot is the place of one running video: there are MAX_CONCURRENT_VIDEOS, of which one user may take only some.
    if running_of_user >= settings.MAX_CONCURRENT_PER_USER:
        return Wait("own_slot", at + timedelta(seconds=2))
    if running >= settings.MAX_CONCURRENT_VIDEOS:
        return Wait("slot", at + timedelta(seconds=2))
    window = timedelta(seconds=settings.PROVIDER_RATE_WINDOW_S)
    if spend.count_calls_in_window(account_id=account.pk, since=at - window) >= settings.PROVIDER_RATE_LIMIT:
        return Wait("rate", at + timedelta(seconds=1))
    return None


def budget_wait(state: State, *, estimate: Spend, at: datetime) -> Wait:
    """The wait of a job for a budget without room. It is short, because an operator may raise the limit."""
    until = at + BUDGET_RECHECK_INTERVAL
    if state.limit is not None and estimate.estimated > state.limit:
        return Wait(ABOVE_LIMIT, until, exhausted_budget=state)
    return Wait(budget_policy.wait_code(state), until, ends_at=state.window.ends_at, exhausted_budget=state)

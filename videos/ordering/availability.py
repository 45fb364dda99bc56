"""Whether an order placed now would be accepted, and what it would wait for; shown beside the price, before paying."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from accounts.seams import clock
from billing.budgets import policy as budget_policy
from billing.common.formatting import format_moment, join_sentences
from billing.guard import checks as guard_checks
from billing.guard import circuit_breaker, user_holds, wait_reasons
from billing.models import ProviderAccount
from billing.pricing.prices import Quote
from billing.provider import accounts as provider_accounts
from videos.ordering import queue


@dataclass(frozen=True)
class Restriction:
    """Why new videos are refused or delayed, as a title and a sentence for the user.

    If `accepts_orders` is true, an order is accepted and charged; if `delays_orders` is true as well, it then waits.
    """

    title: str
    text: str
    accepts_orders: bool
    delays_orders: bool = False


def find_restriction(account: ProviderAccount | None, user: User, *, at: datetime) -> Restriction | None:
    """What restricts this user's new videos; None if nothing does.

    `account` is the provider account that new videos are sent to, or None if no provider key is set. The texts do not
    show users any details of that account.
    """
    if account is None:
        return _unavailable()
    if account.is_paused_at(at):
        until = (
            _("It ends at %(time)s.") % {"time": format_moment(account.paused_until)} if account.paused_until else ""
        )
        reason = provider_accounts.format_pause_reason(account)
        sentence = _("%(why)s.") % {"why": f"{reason[:1].upper()}{reason[1:]}"}
        return Restriction(_("New videos are paused"), join_sentences((sentence, until)), accepts_orders=False)
    if (hold := user_holds.find_active_hold(user.pk)) is not None:
        return Restriction(
            _("Your new videos are on hold"), str(guard_checks.refusal_for_hold(hold)), accepts_orders=False
        )
    # Parked: the provider refuses our key, or our account there has no credits left.
    if account.parked_as or provider_accounts.is_critical(account):
        return _unavailable()
    # The circuit breaker opens after too many failures; then nothing is sent until a cooldown is over.
    if account.breaker != ProviderAccount.Breaker.CLOSED:
        if circuit_breaker.is_cooldown_over(account, at):
            text = _("It may be working again: the next order is sent first, and the others follow automatically.")
            return Restriction(_("The provider had problems"), text, accepts_orders=True)
        text = _("Your order will wait and start automatically as soon as the provider works again.")
        return Restriction(_("The provider has problems"), text, accepts_orders=True, delays_orders=True)
    return None


def _unavailable() -> Restriction:
    text = _("The operator has been notified. Waiting videos continue automatically, and nothing is lost.")
    return Restriction(_("No new videos right now"), text, accepts_orders=False)


# Expected waits that are shorter than this are not shown.
SHORT_QUEUE_S = 60


@dataclass(frozen=True)
class Availability:
    """What would happen to an order placed now. If all fields are empty, it starts when its turn comes.

    `restriction` applies to all users or to this user; `refusal` says which budget would refuse the order.
    `notice` is a sentence: what the order would wait for after it was charged, or, if `is_queue_full`, why it is refused.
    """

    restriction: Restriction | None = None
    refusal: budget_policy.BudgetRefusal | None = None
    notice: str = ""
    is_queue_full: bool = False

    @property
    def accepts_order(self) -> bool:
        """Whether the order would be accepted, as far as can be known beforehand."""
        return (
            self.refusal is None
            and not self.is_queue_full
            and (self.restriction is None or self.restriction.accepts_orders)
        )


def check_availability(*, user: User, quote: Quote | None) -> Availability:
    """What would happen to this user's order at the price `quote`, which is None if these settings are not sold."""
    at = clock.database_now()
    try:
        account = provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        account = None
    restriction = find_restriction(account, user, at=at)
    if quote is None:
        return Availability(restriction)
    decision = budget_policy.decide(user=user, quote=quote, at=at)
    if account is None or (restriction is not None and not restriction.accepts_orders) or decision.refusal is not None:
        return Availability(restriction, decision.refusal)
    queue_s = queue.expected_wait_s()
    if queue_s > settings.MAX_QUEUE_WAIT_MINUTES * 60:
        notice = _("Too many videos are waiting; no more orders are accepted right now.")
        return Availability(restriction, notice=notice, is_queue_full=True)
    return Availability(
        restriction,
        notice=_describe_wait(account, quote, restriction, decision.delay, at) or _describe_queue(queue_s),
    )


def _describe_wait(
    account: ProviderAccount,
    quote: Quote,
    restriction: Restriction | None,
    delay: budget_policy.Delay | None,
    at: datetime,
) -> str:
    """What the order would wait for, checked in the same order as before sending (`billing.guard.checks`)."""
    if restriction is not None and restriction.delays_orders:
        return _format_wait("breaker")
    if provider_accounts.lacks_balance(account, quote.provider_credits):
        return _format_wait("balance")
    return _format_wait(delay.code, until=delay.until) if delay else ""


def _describe_queue(queue_s: float) -> str:
    if queue_s < SHORT_QUEUE_S:
        return ""
    return ngettext(
        "It would start in about %(n)d minute: other videos come first.",
        "It would start in about %(n)d minutes: other videos come first.",
        round(queue_s / 60),
    ) % {"n": round(queue_s / 60)}


def _format_wait(code: str, *, until: datetime | None = None) -> str:
    values = {"why": wait_reasons.OWNER_TEXTS[code]}
    if until is None:
        return _("It would wait: %(why)s.") % values
    return _("It would wait until %(time)s: %(why)s.") % {**values, "time": format_moment(until)}

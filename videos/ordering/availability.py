"""What an order would meet if it were placed now: told beside its price, so that nobody learns of a wait after paying."""

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
    """What people read: a title and a sentence. `takes_orders`: an order is charged; `is_waiting`: and then waits."""

    title: str
    text: str
    takes_orders: bool
    is_waiting: bool = False


def find_restriction(account: ProviderAccount | None, user: User, *, at: datetime) -> Restriction | None:
    """Why new videos of this user wait, by the account that new work goes to (None: no key); None: made as usual.

    What is between us and the provider is not told.
    """
    if account is None:
        return _unavailable()
    if account.is_paused_at(at):
        until = (
            _("It ends at %(time)s.") % {"time": format_moment(account.paused_until)} if account.paused_until else ""
        )
        reason = provider_accounts.format_pause_reason(account)
        why = _("%(why)s.") % {"why": f"{reason[:1].upper()}{reason[1:]}"}
        return Restriction(_("New videos are paused"), join_sentences((why, until)), takes_orders=False)
    if (hold := user_holds.find_active_hold(user.pk)) is not None:
        return Restriction(_("Your new videos are held"), str(guard_checks.refusal_for_hold(hold)), takes_orders=False)
    if account.parked_as or provider_accounts.is_critical(account):
        return _unavailable()
    if account.breaker != ProviderAccount.Breaker.CLOSED:
        if circuit_breaker.has_rested(account, at):
            text = _("It may be well again: what is ordered next goes first, and the rest follows by itself.")
            return Restriction(_("The provider had trouble"), text, takes_orders=True)
        text = _("What you order waits and is made by itself as soon as the provider is well again.")
        return Restriction(_("The provider has trouble"), text, takes_orders=True, is_waiting=True)
    return None


def _unavailable() -> Restriction:
    text = _("The operator has been told. What waits goes on by itself, and nothing is lost.")
    return Restriction(_("No new videos just now"), text, takes_orders=False)


# Nobody minds a line as short as this.
SHORT_QUEUE_S = 60


@dataclass(frozen=True)
class Availability:
    """What an order would meet. With nothing here it is made in its turn.

    `standing` is what holds for everybody or this person, `refusal` a budget that would not take the order; `wait` is a
    sentence: it would be charged, and then wait; or (`is_line_full`) the line is too long for it to be taken.
    """

    standing: Restriction | None = None
    refusal: budget_policy.BudgetRefusal | None = None
    wait: str = ""
    is_line_full: bool = False

    @property
    def is_taken(self) -> bool:
        """Whether the order would be taken at all, as far as can be known before."""
        return self.refusal is None and not self.is_line_full and (self.standing is None or self.standing.takes_orders)


def check_availability(*, user: User, quote: Quote | None) -> Availability:
    """The outlook of this person's order at that price (None: nothing is sold so)."""
    at = clock.database_now()
    try:
        account = provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        account = None
    stands = find_restriction(account, user, at=at)
    if quote is None:
        return Availability(stands)
    verdict = budget_policy.verdict(user=user, quote=quote, at=at)
    if account is None or (stands is not None and not stands.takes_orders) or verdict.refusal is not None:
        return Availability(stands, verdict.refusal)
    line_s = queue.expected_wait_s()
    if line_s > settings.MAX_QUEUE_WAIT_MINUTES * 60:
        words = _("So many videos wait that no more are taken just now.")
        return Availability(stands, wait=words, is_line_full=True)
    return Availability(
        stands, wait=_describe_wait(account, quote, stands, verdict.delay, at) or _describe_queue(line_s)
    )


def _describe_wait(
    account: ProviderAccount, quote: Quote, stands: Restriction | None, delay: budget_policy.Delay | None, at: datetime
) -> str:
    """What the guard would make the order wait for, in the order in which it looks."""
    if stands is not None and stands.is_waiting:
        return _format_wait("breaker")
    if provider_accounts.lacks_balance(account, quote.provider_credits):
        return _format_wait("balance")
    return _format_wait(delay.code, until=delay.until) if delay else ""


def _describe_queue(line_s: float) -> str:
    if line_s < SHORT_QUEUE_S:
        return ""
    return ngettext(
        "It would start in about %(n)d minute: other videos come first.",
        "It would start in about %(n)d minutes: other videos come first.",
        round(line_s / 60),
    ) % {"n": round(line_s / 60)}


def _format_wait(code: str, *, until: datetime | None = None) -> str:
    why = {"why": wait_reasons.OWNER_TEXTS[code]}
    if until is None:
        return _("It would wait: %(why)s.") % why
    return _("It would wait until %(time)s: %(why)s.") % {**why, "time": format_moment(until)}

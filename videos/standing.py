"""A line on the studio: why new videos wait or are not taken just now, for everybody or for this person."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from accounts.models import User
from billing import breaker, guard, holds, provider_accounts
from billing.models import ProviderAccount
from billing.moments import said
from billing.sentences import joined


@dataclass(frozen=True)
class Standing:
    """What people read: a title and a sentence. `takes_orders`: an order is charged; `is_waiting`: and then waits."""

    title: str
    text: str
    takes_orders: bool
    is_waiting: bool = False


def now(account: ProviderAccount | None, user: User, *, at: datetime) -> Standing | None:
    """Why new videos of this user wait, by the account that new work goes to (None: no key); None: made as usual.

    What is between us and the provider is not told.
    """
    if account is None:
        return _at_rest()
    if account.is_paused_at(at):
        until = _("It ends at %(time)s.") % {"time": said(account.paused_until)} if account.paused_until else ""
        reason = provider_accounts.pause_sentence(account)
        why = _("%(why)s.") % {"why": f"{reason[:1].upper()}{reason[1:]}"}
        return Standing(_("New videos are paused"), joined((why, until)), takes_orders=False)
    if (hold := holds.of(user.pk)) is not None:
        return Standing(_("Your new videos are held"), str(guard.held_by(hold)), takes_orders=False)
    if account.parked_as or provider_accounts.is_critical(account):
        return _at_rest()
    if account.breaker != ProviderAccount.Breaker.CLOSED:
        if breaker.has_rested(account, at):
            text = _("It may be well again: what is ordered next goes first, and the rest follows by itself.")
            return Standing(_("The provider had trouble"), text, takes_orders=True)
        text = _("What you order waits and is made by itself as soon as the provider is well again.")
        return Standing(_("The provider has trouble"), text, takes_orders=True, is_waiting=True)
    return None


def _at_rest() -> Standing:
    text = _("The operator has been told. What waits goes on by itself, and nothing is lost.")
    return Standing(_("No new videos just now"), text, takes_orders=False)

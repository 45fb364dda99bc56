"""What an order would meet if it were placed now: told beside its price, so that nobody learns of a wait after paying."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.doors import clock
from accounts.models import User
from billing import budget_guard, provider_accounts, wait_words
from billing.models import ProviderAccount
from billing.moments import said
from billing.pricing import Quote
from videos import queue, standing
from videos.standing import Standing

# Nobody minds a line as short as this.
SHORT_LINE_S = 60


@dataclass(frozen=True)
class Outlook:
    """What an order would meet. With nothing here it is made in its turn.

    `standing` is what holds for everybody or this person, `refusal` a budget that would not take the order; `wait` is a
    sentence: it would be charged, and then wait; or (`is_line_full`) the line is too long for it to be taken.
    """

    standing: Standing | None = None
    refusal: budget_guard.BudgetRefusal | None = None
    wait: str = ""
    is_line_full: bool = False

    @property
    def is_taken(self) -> bool:
        """Whether the order would be taken at all, as far as can be known before."""
        return self.refusal is None and not self.is_line_full and (self.standing is None or self.standing.takes_orders)


def of(*, user: User, quote: Quote | None) -> Outlook:
    """The outlook of this person's order at that price (None: nothing is sold so)."""
    at = clock.database_now()
    try:
        account = provider_accounts.current()
    except provider_accounts.NoProviderKey:
        account = None
    stands = standing.now(account, user, at=at)
    if quote is None:
        return Outlook(stands)
    verdict = budget_guard.verdict(user=user, quote=quote, at=at)
    if account is None or (stands is not None and not stands.takes_orders) or verdict.refusal is not None:
        return Outlook(stands, verdict.refusal)
    line_s = queue.expected_wait_s()
    if line_s > settings.MAX_QUEUE_WAIT_MINUTES * 60:
        words = _("So many videos wait that no more are taken just now.")
        return Outlook(stands, wait=words, is_line_full=True)
    return Outlook(stands, wait=_wait(account, quote, stands, verdict.delay, at) or _in_line(line_s))


def _wait(
    account: ProviderAccount, quote: Quote, stands: Standing | None, delay: budget_guard.Delay | None, at: datetime
) -> str:
    """What the guard would make the order wait for, in the order in which it looks."""
    if stands is not None and stands.is_waiting:
        return _sentence("breaker")
    if provider_accounts.lacks_balance(account, quote.provider_credits):
        return _sentence("balance")
    return _sentence(delay.code, until=delay.until) if delay else ""


def _in_line(line_s: float) -> str:
    if line_s < SHORT_LINE_S:
        return ""
    return ngettext(
        "It would start in about %(n)d minute: other videos come first.",
        "It would start in about %(n)d minutes: other videos come first.",
        round(line_s / 60),
    ) % {"n": round(line_s / 60)}


def _sentence(code: str, *, until: datetime | None = None) -> str:
    why = {"why": wait_words.TO_OWNERS[code]}
    if until is None:
        return _("It would wait: %(why)s.") % why
    return _("It would wait until %(time)s: %(why)s.") % {**why, "time": said(until)}

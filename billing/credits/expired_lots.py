"""Removes expired credits, and warns users a week and a day before credits expire.

Credits granted together form a *lot* and expire together (see `billing.credits.lots`). If a lot was valid for a week or
less from the start, the user is warned only the day before.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from smtplib import SMTPRecipientsRefused

from django.db import transaction
from django.db.models import F, Q, QuerySet, Sum

from accounts.mail import sending as mail
from accounts.models import User
from accounts.seams import clock
from billing.common import run_all
from billing.credits import ledger
from billing.credits.lots import Holding
from billing.models import CreditLot

log = logging.getLogger(__name__)

WEEK, DAY = timedelta(days=7), timedelta(days=1)
# Credits granted "for a week" expire slightly more or less than a week after the row was written.
LONGER_THAN_A_WEEK = WEEK + timedelta(hours=1)
MAX_LOTS_PER_RUN, MAX_MAILS_PER_RUN = 500, 50
# The session key that stores which notice the user has hidden.
HIDDEN_SESSION_KEY = "expiring_hidden"


@dataclass(frozen=True)
class ExpiringSoon:
    """Credits that expire within a week: `user_credits` in all. `first_credits` of them expire first, at `first_at`."""

    user_credits: int
    first_credits: int
    first_at: datetime
    is_last_day: bool

    @property
    def key(self) -> str:
        """Identifies the notice. If the user hid it, it returns for other credits, and on the last day."""
        return f"{self.first_at.isoformat()} {'day' if self.is_last_day else 'week'}"


def run() -> None:
    """Remove expired credits, then mail users whose credits expire soon."""
    run_all.run_all_then_raise(expire_due, warn_due)


def expire_due(*, limit: int = MAX_LOTS_PER_RUN) -> int:
    """Remove the credits of expired lots, each lot in its own transaction; returns the number of lots."""
    due = CreditLot.objects.filter(remaining__gt=0, expires_at__lte=clock.database_now())
    expired = 0
    for pk in list(due.order_by("expires_at", "id").values_list("pk", flat=True)[:limit]):
        try:
            expired += ledger.expire(lot_id=pk) is not None
        except ledger.LedgerError as error:
            # `check_books` reports the inconsistent account; the lots of other users still expire.
            log.error("lot %s cannot expire: %s", pk, type(error).__name__)
    return expired


def warn_due(*, limit: int = MAX_MAILS_PER_RUN) -> int:
    """Send one mail to each user with credits that expire soon; returns the number of mails sent.

    Lots are marked as announced before the mail is sent, so that two runs never send it twice. When the mail server
    does not answer, the marks are removed and the run ends; the next run tries again. It does not try a refused address
    again.
    """
    users = User.objects.filter(is_active=True, anonymised_at=None)
    due_lots = _lots_to_announce(clock.database_now()).filter(account__user__in=users)
    sent = 0
    for user in users.filter(credit_account__lots__in=due_lots).distinct().order_by("pk")[:limit]:
        announced_at, holdings = _mark_announced(user)
        if not holdings:
            continue
        try:
            mail.send(
                user,
                "credits_expire",
                {"holdings": holdings, "total": sum(holding.user_credits for holding in holdings)},
            )
        except SMTPRecipientsRefused:
            log.warning("credit expiry mail to user %s: address refused", user.pk)
        except OSError as error:
            log.warning("credit expiry mails stopped for now: %s", type(error).__name__)
            _unmark_announced(user, announced_at)
            break
        else:
            sent += 1
    return sent


def find_expiring_soon(user: User) -> ExpiringSoon | None:
    """The user's credits that expire within a week, for the notice on every page; None without any."""
    at = clock.now()
    lots = CreditLot.objects.filter(account__user=user, remaining__gt=0, expires_at__gt=at, expires_at__lte=at + WEEK)
    by_expiry = list(lots.order_by("expires_at").values_list("expires_at").annotate(total=Sum("remaining")))
    if not by_expiry:
        return None
    first_at, first_credits = by_expiry[0]
    return ExpiringSoon(sum(total for _, total in by_expiry), first_credits, first_at, is_last_day=first_at <= at + DAY)


def _lots_to_announce(at: datetime) -> QuerySet[CreditLot]:
    """Lots that expire within a day or a week, and for which the warning of a day or a week before was not sent yet."""
    day_before = Q(day_warned_at=None, expires_at__lte=at + DAY)
    week_before = Q(week_warned_at=None, expires_at__gt=at + DAY, expires_at__lte=at + WEEK) & Q(
        expires_at__gt=F("created_at") + LONGER_THAN_A_WEEK
    )
    return CreditLot.objects.filter(day_before | week_before, remaining__gt=0, expires_at__gt=at)


@transaction.atomic
def _mark_announced(user: User) -> tuple[datetime, list[Holding]]:
    """Mark the user's lots as announced; returns the time of the mark and the credits, soonest to expire first."""
    account = ledger.lock_account(user)
    at = clock.database_now()
    lots = _lots_to_announce(at).filter(account=account)
    holdings = [
        Holding(total, expires_at, is_grace)
        for expires_at, is_grace, total in lots.order_by("expires_at", "is_grace")
        .values_list("expires_at", "is_grace")
        .annotate(total=Sum("remaining"))
    ]
    day, week = Q(expires_at__lte=at + DAY), Q(expires_at__gt=at + DAY)
    lots.filter(day).update(day_warned_at=at)
    lots.filter(week).update(week_warned_at=at)
    return at, holdings


def _unmark_announced(user: User, at: datetime) -> None:
    lots = CreditLot.objects.filter(account__user=user)
    lots.filter(day_warned_at=at).update(day_warned_at=None)
    lots.filter(week_warned_at=at).update(week_warned_at=None)

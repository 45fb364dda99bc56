"""Credits with an end: taken out when their time has come, and announced a week and a day before, so that none goes quietly.

A lot that was given for less than a week is announced only the day before.
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
# Credits given "for a week" end a moment more or less than a week after they were written down.
LONGER_THAN_A_WEEK = WEEK + timedelta(hours=1)
MOST_LOTS, MOST_MAILS = 500, 50
# The session's word for which line the person has put away.
HIDDEN = "expiring_hidden"


@dataclass(frozen=True)
class Soon:
    """What a person loses within a week if they leave it: the sum, and how much of it goes first, and when."""

    user_credits: int
    first_credits: int
    first_at: datetime
    is_last_day: bool

    @property
    def name(self) -> str:
        """Which credits the line speaks of, and how urgently: what is put away comes back for others, and on the last day."""
        return f"{self.first_at.isoformat()} {'day' if self.is_last_day else 'week'}"


def run() -> None:
    """What the bell is for: take out what is due, then write to those whose credits are next."""
    run_all.run_all_then_raise(expire_due, warn_due)


def expire_due(*, most: int = MOST_LOTS) -> int:
    """Take out lots past their time, each in a transaction of its own; returns how many went."""
    due = CreditLot.objects.filter(remaining__gt=0, expires_at__lte=clock.database_now())
    expired = 0
    for pk in list(due.order_by("expires_at", "id").values_list("pk", flat=True)[:most]):
        try:
            expired += ledger.expire(lot_id=pk) is not None
        except ledger.LedgerError as problem:
            # Its account's books are broken, which `check_books` tells; the other people's lots go on.
            log.error("lot %s cannot expire: %s", pk, type(problem).__name__)
    return expired


def warn_due(*, most: int = MOST_MAILS) -> int:
    """One mail to each person whose credits are to be announced, whatever the number of lots; returns how many left.

    A lot is marked before its mail goes, so that two runs never write twice. A mail server that does not answer ends the
    run and takes the marks back: the next run tries again. An address that it refuses is not tried again.
    """
    people = User.objects.filter(is_active=True, anonymised_at=None)
    waiting = _to_announce(clock.database_now()).filter(account__user__in=people)
    sent = 0
    for user in people.filter(credit_account__lots__in=waiting).distinct().order_by("pk")[:most]:
        at, claimed = _claim(user)
        if not claimed:
            continue
        try:
            mail.send(user, "credits_expire", {"holdings": claimed, "total": sum(one.user_credits for one in claimed)})
        except SMTPRecipientsRefused:
            log.warning("no mail to user %s about credits that expire: refused", user.pk)
        except OSError as trouble:
            log.warning("no mails about credits that expire for now: %s", type(trouble).__name__)
            _unclaim(user, at)
            break
        else:
            sent += 1
    return sent


def soon(user: User) -> Soon | None:
    """What expires within a week, for the line on the person's pages."""
    at = clock.now()
    lots = CreditLot.objects.filter(account__user=user, remaining__gt=0, expires_at__gt=at, expires_at__lte=at + WEEK)
    ends = list(lots.order_by("expires_at").values_list("expires_at").annotate(total=Sum("remaining")))
    if not ends:
        return None
    first_at, first_credits = ends[0]
    return Soon(sum(total for _, total in ends), first_credits, first_at, is_last_day=first_at <= at + DAY)


def _to_announce(at: datetime) -> QuerySet[CreditLot]:
    """Lots that end within a day and were not announced the day before, or within a week and not the week before."""
    day_before = Q(day_warned_at=None, expires_at__lte=at + DAY)
    week_before = Q(week_warned_at=None, expires_at__gt=at + DAY, expires_at__lte=at + WEEK) & Q(
        expires_at__gt=F("created_at") + LONGER_THAN_A_WEEK
    )
    return CreditLot.objects.filter(day_before | week_before, remaining__gt=0, expires_at__gt=at)


@transaction.atomic
def _claim(user: User) -> tuple[datetime, list[Holding]]:
    """Mark what is to be announced to the person; when that was, and what it is, soonest first."""
    account = ledger.lock_account(user)
    at = clock.database_now()
    mine = _to_announce(at).filter(account=account)
    holdings = [
        Holding(total, expires_at, is_grace)
        for expires_at, is_grace, total in mine.order_by("expires_at", "is_grace")
        .values_list("expires_at", "is_grace")
        .annotate(total=Sum("remaining"))
    ]
    day, week = Q(expires_at__lte=at + DAY), Q(expires_at__gt=at + DAY)
    mine.filter(day).update(day_warned_at=at)
    mine.filter(week).update(week_warned_at=at)
    return at, holdings


def _unclaim(user: User, at: datetime) -> None:
    mine = CreditLot.objects.filter(account__user=user)
    mine.filter(day_warned_at=at).update(day_warned_at=None)
    mine.filter(week_warned_at=at).update(week_warned_at=None)

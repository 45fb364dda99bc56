"""Credits by the grant they came with: the soonest to expire is spent first, and what comes back returns to where it was.

Only `billing.credits.ledger` calls what moves a lot here, in the movement's own transaction and under the account's lock, so that
the lots of an account always hold its balance. A lot past its time can still be spent until `ledger.expire` has taken it:
what a balance shows is what its owner has.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.conf import settings
from django.db.models import F, QuerySet, Sum

from accounts.models import User
from accounts.seams import clock
from accounts.time_zones import get_zone
from billing.models import CreditLot, LedgerEntry, LotUse


class LotsShort(RuntimeError):
    """An account's lots hold less than its balance: the books are broken, and nothing was moved."""


@dataclass(frozen=True)
class Holding:
    """Credits of one person that expire together; never, if `expires_at` is None."""

    user_credits: int
    expires_at: datetime | None
    is_grace: bool


def end_of(day: date) -> datetime:
    """The last second of a day in the site's zone: credits given until a day can be used on that day."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=get_zone(""))


def in_days(days: int) -> datetime | None:
    """The moment that many days from now; None for zero: credits without an end."""
    return clock.now() + timedelta(days=days) if days > 0 else None


def held_by(user: User) -> list[Holding]:
    """What the person holds, in the order in which it is spent; one line for each moment of expiry."""
    rows = (
        CreditLot.objects.filter(account__user=user, remaining__gt=0)
        .order_by(F("expires_at").asc(nulls_last=True), "is_grace")
        .values_list("expires_at", "is_grace")
        .annotate(total=Sum("remaining"))
    )
    return [Holding(total, expires_at, is_grace) for expires_at, is_grace, total in rows]


def follow(*, entry: LedgerEntry, expires_at: datetime | None = None, lot: CreditLot | None = None) -> None:
    """Move lots as the entry moved the balance. `expires_at` is for what comes, `lot` for what expires."""
    if entry.kind == LedgerEntry.Kind.REFUND:
        _give_back(entry)
    elif entry.amount > 0:
        _open(entry, entry.amount, expires_at=expires_at)
    elif lot is not None:
        _take(entry, [(lot.pk, lot.remaining)])
        CreditLot.objects.filter(pk=lot.pk).update(expired_at=entry.created_at)
    else:
        _take(entry, _spendable(entry).values_list("pk", "remaining"))


def _spendable(entry: LedgerEntry) -> QuerySet[CreditLot]:
    """Soonest to expire first, what never expires last."""
    lots = CreditLot.objects.filter(account_id=entry.account_id, remaining__gt=0)
    return lots.order_by(F("expires_at").asc(nulls_last=True), "id")


def _open(entry: LedgerEntry, user_credits: int, *, expires_at: datetime | None, is_grace: bool = False) -> None:
    CreditLot.objects.create(
        account_id=entry.account_id,
        entry=entry,
        granted=user_credits,
        remaining=user_credits,
        expires_at=expires_at,
        is_grace=is_grace,
        created_at=entry.created_at,
    )


def _take(entry: LedgerEntry, lots: Iterable[tuple[int, int]]) -> None:
    """Take the entry's credits from (lot, what it holds), in that order."""
    left = -entry.amount
    uses = []
    for pk, remaining in lots:
        uses.append(LotUse(lot_id=pk, entry=entry, amount=min(left, remaining)))
        left -= uses[-1].amount
        if not left:
            break
    if left:
        raise LotsShort(f"credit account {entry.account_id}: its lots lack {left} of {-entry.amount}")
    for use in uses:
        CreditLot.objects.filter(pk=use.lot_id).update(remaining=F("remaining") - use.amount)
    LotUse.objects.bulk_create(uses)


def _give_back(entry: LedgerEntry) -> None:
    """Each lot gets back what the refunded charge took from it; what came from expired ones lives on as a grace lot.

    A charge from before there were lots took from none: its credits come back without an end.
    """
    at = clock.database_now()
    expired, returned = 0, []
    uses = LotUse.objects.filter(entry=entry.reverses_id).select_related("lot").order_by("id")
    for use in uses:
        if use.lot.expires_at is not None and use.lot.expires_at <= at:
            expired += use.amount
        else:
            returned.append(LotUse(lot=use.lot, entry=entry, amount=use.amount))
    for use in returned:
        CreditLot.objects.filter(pk=use.lot_id).update(remaining=F("remaining") + use.amount)
    LotUse.objects.bulk_create(returned)
    if expired:
        _open(entry, expired, expires_at=at + timedelta(days=settings.GRACE_DAYS), is_grace=True)
    elif not returned:
        _open(entry, entry.amount, expires_at=None)

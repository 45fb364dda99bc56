"""Credit lots: the credits that were granted together and expire together.

Each grant opens a lot, the lot that expires first is spent first, and a refund fills the lots again. A refund of
credits whose lot has expired opens a grace lot, which is valid for GRACE_DAYS.

Only `billing.credits.ledger` calls `apply_entry`, in the transaction of the ledger entry and with the account locked, so
that the lots of an account always add up to its balance. The credits of an expired lot can still be spent until
`ledger.expire` removes them, because the balance includes them until then.
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


class LotsInsufficient(RuntimeError):
    """The lots of an account hold less than its balance: the data is inconsistent, and nothing was written."""


@dataclass(frozen=True)
class Holding:
    """Credits of one user that expire together, or never if `expires_at` is None; `is_grace` if from grace lots."""

    user_credits: int
    expires_at: datetime | None
    is_grace: bool


def end_of_day(day: date) -> datetime:
    """The last second of a day in the site's time zone, because credits valid until a day can be used on that day."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=get_zone(""))


def days_from_now(days: int) -> datetime | None:
    """The expiry of credits that are valid for `days` days; None for zero days, which means no expiry."""
    return clock.now() + timedelta(days=days) if days > 0 else None


def list_holdings(user: User) -> list[Holding]:
    """The user's credits in the order in which they are spent, added up by expiry."""
    rows = (
        CreditLot.objects.filter(account__user=user, remaining__gt=0)
        .order_by(F("expires_at").asc(nulls_last=True), "is_grace")
        .values_list("expires_at", "is_grace")
        .annotate(total=Sum("remaining"))
    )
    return [Holding(total, expires_at, is_grace) for expires_at, is_grace, total in rows]


def apply_entry(*, entry: LedgerEntry, expires_at: datetime | None = None, lot: CreditLot | None = None) -> None:
    """Change the lots by the entry's amount. `expires_at` applies to granted credits; `lot` is the lot of an expiry entry."""
    if entry.kind == LedgerEntry.Kind.REFUND:
        _refund_lots(entry)
    elif entry.amount > 0:
        _open_lot(entry, entry.amount, expires_at=expires_at)
    elif lot is not None:
        _spend_lots(entry, [(lot.pk, lot.remaining)])
        CreditLot.objects.filter(pk=lot.pk).update(expired_at=entry.created_at)
    else:
        _spend_lots(entry, _spendable_lots(entry).values_list("pk", "remaining"))


def _spendable_lots(entry: LedgerEntry) -> QuerySet[CreditLot]:
    """The account's lots with credits left, those that expire first at the beginning, those without expiry at the end."""
    lots = CreditLot.objects.filter(account_id=entry.account_id, remaining__gt=0)
    return lots.order_by(F("expires_at").asc(nulls_last=True), "id")


def _open_lot(entry: LedgerEntry, user_credits: int, *, expires_at: datetime | None, is_grace: bool = False) -> None:
    CreditLot.objects.create(
        account_id=entry.account_id,
        entry=entry,
        granted=user_credits,
        remaining=user_credits,
        expires_at=expires_at,
        is_grace=is_grace,
        created_at=entry.created_at,
    )


def _spend_lots(entry: LedgerEntry, lots: Iterable[tuple[int, int]]) -> None:
    """Take the entry's credits from `lots`, which are pairs of id and remaining credits, in that order."""
    missing = -entry.amount
    uses = []
    for pk, remaining in lots:
        uses.append(LotUse(lot_id=pk, entry=entry, amount=min(missing, remaining)))
        missing -= uses[-1].amount
        if not missing:
            break
    if missing:
        raise LotsInsufficient(f"credit account {entry.account_id}: lots lack {missing} of {-entry.amount}")
    for use in uses:
        CreditLot.objects.filter(pk=use.lot_id).update(remaining=F("remaining") - use.amount)
    LotUse.objects.bulk_create(uses)


def _refund_lots(entry: LedgerEntry) -> None:
    """Return to each lot what the refunded charge took from it; credits of expired lots go to one new grace lot.

    A charge from before lots existed used no lot; it is refunded as credits that never expire.
    """
    at = clock.database_now()
    expired_credits, returned = 0, []
    uses = LotUse.objects.filter(entry=entry.reverses_id).select_related("lot").order_by("id")
    for use in uses:
        if use.lot.expires_at is not None and use.lot.expires_at <= at:
            expired_credits += use.amount
        else:
            returned.append(LotUse(lot=use.lot, entry=entry, amount=use.amount))
    for use in returned:
        CreditLot.objects.filter(pk=use.lot_id).update(remaining=F("remaining") + use.amount)
    LotUse.objects.bulk_create(returned)
    if expired_credits:
        _open_lot(entry, expired_credits, expires_at=at + timedelta(days=settings.GRACE_DAYS), is_grace=True)
    elif not returned:
        _open_lot(entry, entry.amount, expires_at=None)

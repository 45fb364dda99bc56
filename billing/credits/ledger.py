"""The only writer of user credits. Every movement: lock the account, look for the key, then move balance, entry and lots.

Errors: `InsufficientCredits` when a charge does not fit, `KeyReused` when a key comes back with another meaning; a
ValueError for what no caller may ask. Lock order: a task's row before its owner's account, never the other way round.
"""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext_noop

from accounts.models import User
from accounts.seams import clock
from billing.credits import lots
from billing.models import CreditAccount, CreditLot, LedgerEntry

Kind = LedgerEntry.Kind

# No movement is larger: a slip on the keyboard must not fill a purse.
MOST_AT_ONCE = 1_000_000_000
NOTE_LENGTH = 500
# The statement shows it in the reader's language.
EXPIRED = gettext_noop("Unused by their date")


class LedgerError(Exception):
    """A movement that cannot be made; nothing was moved."""


class InsufficientCredits(LedgerError):
    """The balance is smaller than the charge. Carries both, in user credits."""

    def __init__(self, *, balance: int, needed: int) -> None:
        super().__init__(f"balance {balance}, needed {needed}")
        self.balance = balance
        self.needed = needed


class KeyReused(LedgerError):
    """The idempotency key already stands for another movement."""


def lock_account(user: User) -> CreditAccount:
    """The user's account, opened if need be and locked until the transaction ends. Needs an open transaction."""
    CreditAccount.objects.get_or_create(user=user)
    return CreditAccount.objects.select_for_update().get(user=user)


def grant(
    *,
    user: User,
    user_credits: int,
    idempotency_key: str,
    note: str = "",
    actor: User | None = None,
    reference: str = "",
    kind: LedgerEntry.Kind = Kind.GRANT,
    expires_at: datetime | None = None,
) -> LedgerEntry:
    """Give credits (kind GRANT or PURCHASE), with a reason or a reference; for ever, or until `expires_at`.

    The same key again returns the first entry, whose date stands: "30 days from now" is another moment each time.
    """
    if user_credits <= 0:
        raise ValueError("a grant gives at least one credit")
    if not (note.strip() or reference):
        raise ValueError("a grant needs a reason")
    if expires_at is not None and expires_at <= clock.now():
        raise ValueError("credits that are given must not have expired")
    return _post(
        user=user,
        kind=kind,
        amount=user_credits,
        idempotency_key=idempotency_key,
        reference=reference,
        note=note,
        actor=actor,
        expires_at=expires_at,
    )


def charge(*, user: User, user_credits: int, idempotency_key: str, job_id: UUID, reference: str) -> LedgerEntry:
    """Take credits for a job, the soonest to expire first.

    The same key again returns the first entry, whatever the balance is by now.
    """
    if user_credits <= 0:
        raise ValueError("a charge takes at least one credit")
    return _post(
        user=user,
        kind=Kind.CHARGE,
        amount=-user_credits,
        idempotency_key=idempotency_key,
        reference=reference,
        job_id=job_id,
    )


def refund(*, charge_key: str, idempotency_key: str, note: str = "", actor: User | None = None) -> LedgerEntry:
    """Give a whole charge back to the lots it came from, at most once: a second refund returns the first, under any key."""
    with transaction.atomic():
        charged = LedgerEntry.objects.select_related("account__user").get(idempotency_key=charge_key, kind=Kind.CHARGE)
        lock_account(charged.account.user)
        earlier = LedgerEntry.objects.filter(reverses=charged).first()
        if earlier is not None:
            return earlier
        return _post(
            user=charged.account.user,
            kind=Kind.REFUND,
            amount=-charged.amount,
            idempotency_key=idempotency_key,
            reference=charged.reference,
            job_id=charged.job_id,
            note=note,
            actor=actor,
            reverses=charged,
        )


def adjust(*, user: User, user_credits: int, idempotency_key: str, note: str, actor: User | None) -> LedgerEntry:
    """Correct a balance up or down, with a reason; never below zero. The same key again returns the first entry."""
    if not user_credits:
        raise ValueError("an adjustment moves at least one credit")
    if not note.strip():
        raise ValueError("an adjustment needs a reason")
    return _post(
        user=user,
        kind=Kind.ADJUSTMENT,
        amount=user_credits,
        idempotency_key=idempotency_key,
        note=note,
        actor=actor,
    )


def expire(*, lot_id: int) -> LedgerEntry | None:
    """Take out what is left of a lot past its time, once; None if nothing is left or its time has not come."""
    with transaction.atomic():
        account = CreditAccount.objects.select_for_update(of=("self",)).get(lots=lot_id)
        lot = CreditLot.objects.get(pk=lot_id)
        if not lot.remaining or lot.expires_at is None or lot.expires_at > clock.database_now():
            return None
        return _post(
            user=account.user,
            kind=Kind.EXPIRY,
            amount=-lot.remaining,
            idempotency_key=f"expiry:lot:{lot.pk}",
            reference=f"lot:{lot.pk}",
            note=EXPIRED,
            lot=lot,
        )


def balance_of(user: User) -> int:
    """The user's balance in user credits; 0 without an account."""
    return CreditAccount.objects.filter(user=user).values_list("balance", flat=True).first() or 0


def statement(user: User) -> QuerySet[LedgerEntry]:
    """The user's entries, newest first."""
    return LedgerEntry.objects.filter(account__user=user).select_related("reverses")


def _post(
    *,
    user: User,
    kind: LedgerEntry.Kind,
    amount: int,
    idempotency_key: str,
    reference: str = "",
    job_id: UUID | None = None,
    note: str = "",
    actor: User | None = None,
    reverses: LedgerEntry | None = None,
    expires_at: datetime | None = None,
    lot: CreditLot | None = None,
) -> LedgerEntry:
    if abs(amount) > MOST_AT_ONCE:
        raise ValueError(f"at most {MOST_AT_ONCE} credits move at once")
    with transaction.atomic():
        account = lock_account(user)
        earlier = LedgerEntry.objects.filter(idempotency_key=idempotency_key).first()
        if earlier is not None:
            meant = (account.pk, kind, amount, reference, job_id, reverses and reverses.pk)
            first = (earlier.account_id, earlier.kind, earlier.amount, earlier.reference, earlier.job_id)
            if meant != (*first, earlier.reverses_id):
                raise KeyReused(idempotency_key)
            return earlier
        # The condition, not the check above it, is what keeps a balance from going below zero.
        moved = CreditAccount.objects.filter(pk=account.pk, balance__gte=-amount).update(balance=F("balance") + amount)
        if not moved:
            raise InsufficientCredits(balance=account.balance, needed=-amount)
        account.balance += amount
        entry = LedgerEntry.objects.create(
            account=account,
            kind=kind,
            amount=amount,
            balance_after=account.balance,
            idempotency_key=idempotency_key,
            reference=reference,
            job_id=job_id,
            note=note.strip()[:NOTE_LENGTH],
            actor=actor,
            reverses=reverses,
        )
        lots.follow(entry=entry, expires_at=expires_at, lot=lot)
        return entry

"""The only writer of user credits. Each change locks the account and looks for its idempotency key before it writes.

The *idempotency key* is a text with which the caller names one change, so that the change happens only once: if it is
repeated with the same key, the first entry is returned and the balance stays as it is.

Errors: `InsufficientCredits` if the balance is too small, `KeyReused` if the key belongs to a different change, and
ValueError for arguments that are never valid. Code that locks both a video task and an account locks the task first.
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

# The largest change of a balance; larger ones are taken for typing errors.
MAX_ENTRY_AMOUNT = 1_000_000_000
NOTE_LENGTH = 500
# Translated when the statement is shown.
EXPIRY_NOTE = gettext_noop("Not used before they expired")


class LedgerError(Exception):
    """The balance cannot be changed as requested; nothing was written."""


class InsufficientCredits(LedgerError):
    """The balance is smaller than the credits to be removed. `balance` and `needed` are in user credits."""

    def __init__(self, *, balance: int, needed: int) -> None:
        super().__init__(f"balance {balance}, needed {needed}")
        self.balance = balance
        self.needed = needed


class KeyReused(LedgerError):
    """The idempotency key already belongs to a different change."""


def lock_account(user: User) -> CreditAccount:
    """Lock the user's credit account until the transaction ends, and create it if missing. Needs an open transaction."""
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
    """Give credits (kind GRANT or PURCHASE), with a reason or a reference; they never expire unless `expires_at` is given.

    The same key again returns the first entry with its expiry, even if `expires_at` differs now.
    """
    if user_credits <= 0:
        raise ValueError("a grant gives at least one credit")
    if not (note.strip() or reference):
        raise ValueError("a grant needs a reason")
    if expires_at is not None and expires_at <= clock.now():
        raise ValueError("granted credits must expire in the future")
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
    """Take credits for a job, beginning with those that expire first.

    The same key again returns the first entry, whatever the current balance is.
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
    """Return a whole charge to the lots it came from, at most once: a second refund returns the first, under any key."""
    with transaction.atomic():
        original = LedgerEntry.objects.select_related("account__user").get(idempotency_key=charge_key, kind=Kind.CHARGE)
        lock_account(original.account.user)
        existing = LedgerEntry.objects.filter(reverses=original).first()
        if existing is not None:
            return existing
        return _post(
            user=original.account.user,
            kind=Kind.REFUND,
            amount=-original.amount,
            idempotency_key=idempotency_key,
            reference=original.reference,
            job_id=original.job_id,
            note=note,
            actor=actor,
            reverses=original,
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
    """Remove what is left of an expired lot; returns None if nothing is left or the lot has not expired."""
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
            note=EXPIRY_NOTE,
            lot=lot,
        )


def balance_of(user: User) -> int:
    """The user's balance in user credits; 0 if the user has no credit account yet."""
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
    """Write one ledger entry with the balance and the lots, or return the entry that the key already has."""
    if abs(amount) > MAX_ENTRY_AMOUNT:
        raise ValueError(f"an entry is at most {MAX_ENTRY_AMOUNT} credits")
    with transaction.atomic():
        account = lock_account(user)
        existing = LedgerEntry.objects.filter(idempotency_key=idempotency_key).first()
        if existing is not None:
            requested = (account.pk, kind, amount, reference, job_id, reverses and reverses.pk)
            recorded = (existing.account_id, existing.kind, existing.amount, existing.reference, existing.job_id)
            if requested != (*recorded, existing.reverses_id):
                raise KeyReused(idempotency_key)
            return existing
        # The condition of the update keeps the balance from going below zero.
        updated = CreditAccount.objects.filter(pk=account.pk, balance__gte=-amount).update(
            balance=F("balance") + amount
        )
        if not updated:
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
        lots.apply_entry(entry=entry, expires_at=expires_at, lot=lot)
        return entry

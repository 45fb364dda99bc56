"""Codes that give credits, once to each person. Operators make them, hand them out, and read who used them.

Codes are stored as they are: operators must be able to read them out again, and a code is worth what it gives, no more.
"""

import hashlib
import unicodedata
from datetime import datetime
from enum import Enum
from math import ceil

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_noop

from accounts.models import User
from accounts.rate_limits import FailureLimit
from accounts.seams import clock, randomness
from billing.credits import ledger, lots
from billing.models import Voucher, VoucherUse

# Without 0 and O, 1 and I, which people read for each other. 32 signs: five bits each, 80 in a code.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
GROUPS, GROUP = 4, 4
MOST_AT_ONCE = 1000
# The statement shows it in the reader's language.
NOTE = gettext_noop("Voucher")
WRONG_CODES_BY_USER = FailureLimit("voucher_user", amount=10, window_s=15 * 60)
# An office or a school shares one address.
WRONG_CODES_BY_CLIENT = FailureLimit("voucher_client", amount=50, window_s=15 * 60)


class Reason(Enum):
    """Why a code gives nothing. Whoever guesses must not learn that a code was withdrawn: it is as if it never was."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    USED_UP = "used_up"
    USED_BEFORE = "used_before"


class NotRedeemed(Exception):
    """The code gives this person nothing; nothing was moved."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class TooManyWrongCodes(Exception):
    """Too many wrong codes: even a right one is refused until `minutes` have passed."""

    def __init__(self, minutes: int) -> None:
        super().__init__(f"again in {minutes} min")
        self.minutes = minutes


def make(
    *,
    user_credits: int,
    actor: User | None,
    number: int = 1,
    most_uses: int = 1,
    valid_until: datetime | None = None,
    credits_last_days: int | None = None,
    note: str = "",
) -> list[Voucher]:
    """New codes, all alike: `most_uses` people may use each, until `valid_until`; what it gives lasts so many days."""
    if not 1 <= number <= MOST_AT_ONCE:
        raise ValueError(f"1 to {MOST_AT_ONCE} vouchers are made at once")
    at = clock.now()
    return Voucher.objects.bulk_create(
        Voucher(
            code=_new_code(),
            user_credits=user_credits,
            most_uses=most_uses,
            valid_until=valid_until,
            credits_last_days=credits_last_days,
            note=note.strip(),
            created_at=at,
            created_by=actor,
        )
        for _ in range(number)
    )


def withdraw(*, voucher_id: int) -> bool:
    """Nobody can use it from now on; who did keeps the credits. Says whether it was not withdrawn before."""
    return bool(Voucher.objects.filter(pk=voucher_id, withdrawn_at=None).update(withdrawn_at=clock.now()))


def redeem(*, user: User, typed: str, client: str = "") -> VoucherUse:
    """Give the person what the code is worth. `client` is the address it came from, for counting.

    Raises NotRedeemed, or TooManyWrongCodes before the code is looked up.
    """
    limits = [(WRONG_CODES_BY_USER, str(user.pk)), *([(WRONG_CODES_BY_CLIENT, client)] if client else [])]
    if retry_after_s := max(limit.retry_after_s(key) for limit, key in limits):
        raise TooManyWrongCodes(ceil(retry_after_s / 60))
    try:
        return _redeem(user, tidied(typed))
    except NotRedeemed as refused:
        if refused.reason != Reason.USED_BEFORE:
            for limit, key in limits:
                limit.record_failure(key)
        raise


def tidied(typed: str) -> str:
    """A code as it is stored, from what a person typed: any case, any spaces and dashes, also in full width."""
    signs = [sign for sign in unicodedata.normalize("NFKC", typed).upper() if sign.isalnum()]
    return "-".join("".join(signs[start : start + GROUP]) for start in range(0, len(signs), GROUP))


@transaction.atomic
def _redeem(user: User, code: str) -> VoucherUse:
    ledger.lock_account(user)
    voucher = Voucher.objects.select_for_update(no_key=True).filter(code=code).first()
    if voucher is None:
        raise NotRedeemed(Reason.UNKNOWN)
    if VoucherUse.objects.filter(voucher=voucher, user=user).exists():
        raise NotRedeemed(Reason.USED_BEFORE)
    if voucher.withdrawn_at is not None:
        raise NotRedeemed(Reason.UNKNOWN)
    if voucher.valid_until is not None and voucher.valid_until <= clock.now():
        raise NotRedeemed(Reason.EXPIRED)
    # The condition, not the row's lock, is what keeps it from being used once too often.
    if not Voucher.objects.filter(pk=voucher.pk, uses__lt=F("most_uses")).update(uses=F("uses") + 1):
        raise NotRedeemed(Reason.USED_UP)
    entry = ledger.grant(
        user=user,
        user_credits=voucher.user_credits,
        idempotency_key=f"voucher:{voucher.pk}:{user.pk}",
        reference=f"voucher:{voucher.pk}",
        note=NOTE,
        expires_at=lots.in_days(voucher.credits_last_days or 0),
    )
    return VoucherUse.objects.create(voucher=voucher, user=user, entry=entry)


def _new_code() -> str:
    bits = int.from_bytes(hashlib.sha256(randomness.token().encode()).digest())
    signs = "".join(ALPHABET[(bits >> 5 * place) % 32] for place in range(GROUPS * GROUP))
    return tidied(signs)

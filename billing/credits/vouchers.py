"""Voucher codes that give credits, once per user. Operators create them (`billing.admin.vouchers`, whose form
holds the defaults), hand them out and see who used them.

Codes are stored in plain text, because operators must be able to read them again.
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
from accounts.rate_limits import WRONG_VOUCHERS_BY_CLIENT, WRONG_VOUCHERS_BY_USER
from accounts.seams import clock, randomness
from billing.credits import ledger, lots
from billing.models import Voucher, VoucherUse

# Without 0, O, 1 and I, which are easily confused. Each of the 16 characters holds five bits, so a code has 80 bits.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
GROUP_COUNT, GROUP_LENGTH = 4, 4
MAX_BATCH = 1000
# Translated when the statement is shown.
ENTRY_NOTE = gettext_noop("Voucher")


class Reason(Enum):
    """Why a code is refused. Withdrawn codes are reported as unknown, so that guessing reveals nothing."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    USED_UP = "used_up"
    USED_BEFORE = "used_before"


class NotRedeemed(Exception):
    """The code was refused; no credits were given."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class TooManyWrongCodes(Exception):
    """Too many wrong codes were entered: all codes are refused for `minutes` minutes."""

    def __init__(self, minutes: int) -> None:
        super().__init__(f"again in {minutes} min")
        self.minutes = minutes


def create_vouchers(
    *,
    user_credits: int,
    actor: User | None,
    number: int = 1,
    max_uses: int = 1,
    valid_until: datetime | None = None,
    credits_last_days: int | None = None,
    note: str = "",
) -> list[Voucher]:
    """Create `number` vouchers, each for `max_uses` users until `valid_until` (without end if None).

    The credits expire `credits_last_days` days after a voucher is redeemed; they never expire if it is None.
    """
    if not 1 <= number <= MAX_BATCH:
        raise ValueError(f"a batch has 1 to {MAX_BATCH} vouchers")
    at = clock.now()
    return Voucher.objects.bulk_create(
        Voucher(
            code=_new_code(),
            user_credits=user_credits,
            max_uses=max_uses,
            valid_until=valid_until,
            credits_last_days=credits_last_days,
            note=note.strip(),
            created_at=at,
            created_by=actor,
        )
        for _ in range(number)
    )


def withdraw(*, voucher_id: int) -> bool:
    """Make a voucher unusable; users who redeemed it keep the credits. Returns False if it was withdrawn before."""
    return bool(Voucher.objects.filter(pk=voucher_id, withdrawn_at=None).update(withdrawn_at=clock.now()))


def redeem(*, user: User, typed: str, client: str = "") -> VoucherUse:
    """Give the user the credits of a code. `client` is the network address, for rate limiting.

    Raises NotRedeemed if the code is refused. Raises TooManyWrongCodes, without looking the code up, after too many
    refused codes.
    """
    limits = [(WRONG_VOUCHERS_BY_USER, str(user.pk)), *([(WRONG_VOUCHERS_BY_CLIENT, client)] if client else [])]
    if retry_after_s := max(limit.retry_after_s(key) for limit, key in limits):
        raise TooManyWrongCodes(ceil(retry_after_s / 60))
    try:
        return _redeem(user, normalise_code(typed))
    except NotRedeemed as error:
        # A code that the user has redeemed before is not a guess.
        if error.reason != Reason.USED_BEFORE:
            for limit, key in limits:
                limit.record_failure(key)
        raise


def normalise_code(typed: str) -> str:
    """The stored form of a typed code, which may have any case, spaces, dashes and full-width characters."""
    characters = [character for character in unicodedata.normalize("NFKC", typed).upper() if character.isalnum()]
    return "-".join(
        "".join(characters[start : start + GROUP_LENGTH]) for start in range(0, len(characters), GROUP_LENGTH)
    )


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
    # The condition keeps a voucher from being used more often than allowed.
    if not Voucher.objects.filter(pk=voucher.pk, uses__lt=F("max_uses")).update(uses=F("uses") + 1):
        raise NotRedeemed(Reason.USED_UP)
    entry = ledger.grant(
        user=user,
        user_credits=voucher.user_credits,
        idempotency_key=f"voucher:{voucher.pk}:{user.pk}",
        reference=f"voucher:{voucher.pk}",
        note=ENTRY_NOTE,
        expires_at=lots.days_from_now(voucher.credits_last_days or 0),
    )
    return VoucherUse.objects.create(voucher=voucher, user=user, entry=entry)


def _new_code() -> str:
    bits = int.from_bytes(hashlib.sha256(randomness.token().encode()).digest())
    characters = "".join(ALPHABET[(bits >> 5 * position) % 32] for position in range(GROUP_COUNT * GROUP_LENGTH))
    return normalise_code(characters)

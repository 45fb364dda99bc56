"""One process of a race: `python -m tests.billing.race_charges ACTION ...`.

It waits for a line on its input, so that all start together.

charge EMAIL TIMES PREFIX   charges 1 credit TIMES times; prints how many charges were made and how many were refused
expire LOT TIMES            tries to expire the lot TIMES times; prints how often it succeeded
redeem EMAIL CODE           redeems the voucher; prints the credits it gave, or the reason of the refusal
"""

import sys
from collections.abc import Callable

import django

django.setup()

from accounts.models import User  # noqa: E402  needs django.setup()
from billing.credits import ledger, vouchers  # noqa: E402
from tests.jobs import job_id  # noqa: E402


def charge(email: str, times: str, prefix: str) -> str:
    user = User.objects.get(email=email)
    charged = refused = 0
    for n in range(int(times)):
        try:
            ledger.charge(
                user=user,
                user_credits=1,
                idempotency_key=f"{prefix}-{n}",
                job_id=job_id(f"job:{prefix}-{n}"),
                reference=f"job:{prefix}-{n}",
            )
            charged += 1
        except ledger.InsufficientCredits:
            refused += 1
    return f"{charged} {refused}"


def expire(lot: str, times: str) -> str:
    return str(sum(ledger.expire(lot_id=int(lot)) is not None for _ in range(int(times))))


def redeem(email: str, code: str) -> str:
    try:
        return str(vouchers.redeem(user=User.objects.get(email=email), typed=code).entry.amount)
    except vouchers.NotRedeemed as error:
        return error.reason.value


ACTIONS: dict[str, Callable[..., str]] = {"charge": charge, "expire": expire, "redeem": redeem}

if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    print(ACTIONS[sys.argv[1]](*sys.argv[2:]), flush=True)

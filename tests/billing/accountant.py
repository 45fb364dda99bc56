"""One process of a race: `python -m tests.billing.accountant ACT ...`; waits for a line on its input, so that all begin together.

correct ACCOUNT EMAIL KEY,KEY...   answers a difference of 1 credit under each key; prints how many, and their entries' sum of ids
recognise ACCOUNT,ACCOUNT...       recognises what came in; prints how many entries it wrote, and how many accounts it looked at
"""

import sys
from collections.abc import Callable
from decimal import Decimal

import django

django.setup()

from accounts.models import User  # noqa: E402
from accounts.seams import clock  # noqa: E402  the models are there only now
from billing.models import ProviderAccount  # noqa: E402
from billing.reconciliation import reconcile, top_ups  # noqa: E402


def correct(account: str, email: str, keys: str) -> tuple[int, int]:
    actor, at = User.objects.get(email=email), clock.now()
    entries = [
        reconcile.record_correction(
            account_id=int(account),
            amount=Decimal(-1),
            reason="Tried in the playground",
            actor=actor,
            idempotency_key=key,
            happened_at=at,
        )
        for key in keys.split(",")
    ]
    return len(entries), sum(entry.pk for entry in entries)


def recognise(accounts: str) -> tuple[int, int]:
    looked_at = [ProviderAccount.objects.get(pk=pk) for pk in accounts.split(",")]
    return sum(len(top_ups.record_rises(account)) for account in looked_at), len(looked_at)


ACTS: dict[str, Callable[..., tuple[int, int]]] = {"correct": correct, "recognise": recognise}

if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    print(*ACTS[sys.argv[1]](*sys.argv[2:]), flush=True)

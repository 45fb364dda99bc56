"""One process of a race: `python -m tests.billing.race_reconciliation ACTION ...`.

correct ACCOUNT EMAIL KEY,KEY...   records a correction of 1 credit under each key; prints how many, and the sum of their ids
record ACCOUNT,ACCOUNT...          records top-ups; prints how many entries it wrote, and how many accounts it read

It waits for a line on its input, so that all processes start together.
"""

import sys
from collections.abc import Callable
from decimal import Decimal

import django

django.setup()

from accounts.models import User  # noqa: E402
from accounts.seams import clock  # noqa: E402  needs django.setup()
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


def record(accounts: str) -> tuple[int, int]:
    read_accounts = [ProviderAccount.objects.get(pk=pk) for pk in accounts.split(",")]
    return sum(len(top_ups.record_rises(account)) for account in read_accounts), len(read_accounts)


ACTIONS: dict[str, Callable[..., tuple[int, int]]] = {"correct": correct, "record": record}

if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    print(*ACTIONS[sys.argv[1]](*sys.argv[2:]), flush=True)

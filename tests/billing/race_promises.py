"""One process of a race: `python -m tests.billing.race_promises EMAIL TIMES PREFIX`.

It promises the cost of TIMES jobs, 20 provider credits each, as fast as it can. It prints how many promises were counted,
and how many were refused because a budget had no room. It creates its jobs first and then waits for a line on its input,
so that all processes start together.
"""

import sys
from decimal import Decimal

import django

django.setup()

from accounts.models import User  # noqa: E402  needs django.setup()
from billing.budgets import usage as budget_usage  # noqa: E402
from billing.costs import spend  # noqa: E402
from billing.pricing.prices import Kind, Quote  # noqa: E402
from billing.provider import accounts as provider_accounts  # noqa: E402
from tests.jobs import job_id  # noqa: E402

QUOTE = Quote(
    model="veo3_fast",
    resolution="720p",
    kind=Kind.GENERATE,
    user_credits=20,
    provider_credits=Decimal(20),
    usd_per_credit=Decimal("0.005"),
)


def main(email: str, times: int, prefix: str) -> None:
    user = User.objects.get(email=email)
    account = provider_accounts.get_current_account()
    jobs = [spend.estimate(job_id=job_id(f"job:{prefix}-{n}"), user=user, quote=QUOTE) for n in range(times)]
    print("ready", flush=True)
    sys.stdin.readline()
    promised = refused = 0
    for job in jobs:
        try:
            spend.promise(spend=job, account=account)
            promised += 1
        except budget_usage.BudgetSpent:
            refused += 1
    print(promised, refused, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])

"""One process of a race: `python -m tests.billing.race_orders EMAIL TIMES PREFIX REFUSAL`.

It places TIMES orders as fast as it can. It prints how many were accepted, and how many were refused with the code
REFUSAL. It waits for a line on its input, so that all processes start together.
"""

import sys

import django

django.setup()

from accounts.models import User  # noqa: E402  needs django.setup()
from billing.guard import checks as guard_checks  # noqa: E402
from videos.ordering import orders  # noqa: E402
from videos.ordering.orders import VideoOrder  # noqa: E402


def main(email: str, times: int, prefix: str, code: str) -> None:
    user = User.objects.get(email=email)
    print("ready", flush=True)
    sys.stdin.readline()
    accepted = refused = 0
    for n in range(times):
        try:
            orders.create(user=user, order=VideoOrder(prompt=f"a kite, {prefix}-{n}"), idempotency_key=f"{prefix}-{n}")
            accepted += 1
        except guard_checks.Refusal as refusal:
            refused += refusal.code == code
    print(accepted, refused, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])

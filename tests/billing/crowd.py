"""One process of a race: `python -m tests.billing.crowd N JOBS`. Tells of so many jobs of its own, and that the last five
are over; prints how many it told of and ended.

It waits for a line on its input, so that all begin together.
"""

import sys

import django

django.setup()

from billing.alerts import grouping as alert_grouping  # noqa: E402  the models are there only now
from billing.models import Alert  # noqa: E402

ENDED = 5


def main(number: str, jobs: int) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    mine = [f"job:{number}:{job}" for job in range(jobs)]
    for reference in mine:
        alert_grouping.raise_job_alert(Alert.Kind.UNCONFIRMED, reference=reference)
    for reference in mine[-ENDED:]:
        alert_grouping.resolve_job_alerts([Alert.Kind.UNCONFIRMED], reference=reference)
    print(len(mine), ENDED, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

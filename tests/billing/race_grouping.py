"""One process of a race: `python -m tests.billing.race_grouping N JOBS` raises alerts about JOBS jobs.

N is the number of the process, so that each has different jobs. It resolves the alerts of the last five jobs, and prints
how many alerts it raised and resolved. It waits for a line on its input, so that all processes start together.
"""

import sys

import django

django.setup()

from billing.alerts import grouping as alert_grouping  # noqa: E402  needs django.setup()
from billing.models import Alert  # noqa: E402

RESOLVED = 5


def main(number: str, jobs: int) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    references = [f"job:{number}:{job}" for job in range(jobs)]
    for reference in references:
        alert_grouping.raise_job_alert(Alert.Kind.UNCONFIRMED, reference=reference)
    for reference in references[-RESOLVED:]:
        alert_grouping.resolve_job_alerts([Alert.Kind.UNCONFIRMED], reference=reference)
    print(len(references), RESOLVED, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

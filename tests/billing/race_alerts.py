"""One process of a race: `python -m tests.billing.race_alerts TIMES` raises the same alert TIMES times.

It prints how often it raised the alert, and the alert's highest count. It waits for a line on its input, so that all
processes start together.
"""

import sys

import django

django.setup()

from billing.alerts import services as alerts  # noqa: E402  needs django.setup()


def main(times: int) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    counts = [alerts.raise_alert(alerts.Kind.STORAGE, cause="media", detail=f"full {n}").count for n in range(times)]
    print(len(counts), max(counts), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))

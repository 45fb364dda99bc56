"""One process of a race: `python -m tests.billing.crier TIMES`. Raises one alert; prints how often, and the count it saw.

It waits for a line on its input, so that all begin together.
"""

import sys

import django

django.setup()

from billing.alerts import services as alerts  # noqa: E402  the models are there only now


def main(times: int) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    counts = [alerts.raise_alert(alerts.Kind.STORAGE, cause="media", detail=f"full {n}").count for n in range(times)]
    print(len(counts), max(counts), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""How long something takes, and how many queries it makes."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from time import perf_counter
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

WARM_UP_RUNS = 3


@dataclass(frozen=True)
class Timing:
    """Milliseconds of several runs, and the queries of one. The best is what a machine takes that does nothing else."""

    best_ms: float
    median_ms: float
    p95_ms: float
    queries: int

    @property
    def facts(self) -> dict[str, Any]:
        return asdict(self)


def measure_time(act: Callable[[], object], *, runs: int, before_each: Callable[[], object] = lambda: None) -> Timing:
    """Run it some times to warm up, once to count its queries, and then `runs` times by the clock."""
    for _ in range(WARM_UP_RUNS):
        before_each()
        act()
    before_each()
    with CaptureQueriesContext(connection) as captured:
        act()
        # Now: the next request forgets them.
        queries = len(connection.queries_log) - captured.initial_queries
    times_ms = []
    for _ in range(runs):
        before_each()
        begin = perf_counter()
        act()
        times_ms.append((perf_counter() - begin) * 1000)
    p95 = quantiles(times_ms, n=20)[-1] if len(times_ms) > 1 else times_ms[0]
    return Timing(round(min(times_ms), 1), round(median(times_ms), 1), round(p95, 1), queries)

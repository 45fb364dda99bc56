"""Measures how long a function takes and how many queries it makes."""

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
    """The times of several runs and the queries of one. The best run is the one least disturbed by other programs."""

    best_ms: float
    median_ms: float
    p95_ms: float
    queries: int

    @property
    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_time(
    function: Callable[[], object], *, runs: int, before_each: Callable[[], object] = lambda: None
) -> Timing:
    """Call the function to warm up, once to count its queries, and `runs` times to measure it.

    `before_each` is called before each run and is not measured.
    """
    for _ in range(WARM_UP_RUNS):
        before_each()
        function()
    before_each()
    with CaptureQueriesContext(connection) as captured:
        function()
        # Read now, because the next request clears the log.
        queries = len(connection.queries_log) - captured.initial_queries
    times_ms = []
    for _ in range(runs):
        before_each()
        started = perf_counter()
        function()
        times_ms.append((perf_counter() - started) * 1000)
    p95 = quantiles(times_ms, n=20)[-1] if len(times_ms) > 1 else times_ms[0]
    return Timing(round(min(times_ms), 1), round(median(times_ms), 1), round(p95, 1), queries)

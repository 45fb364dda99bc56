"""A few network calls at once inside one job, each thread with a database connection of its own."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.conf import settings
from django.db import connections

Item = TypeVar("Item")


def each(act: Callable[[Item], None], items: Iterable[Item]) -> int:
    """Call `act` for every item, JOB_THREADS at a time (0: one after another, here); returns how many. Raises the first error.

    Items are drawn as threads become free, so a generator may decide late what comes next.
    """
    if settings.JOB_THREADS == 0:
        count = 0
        for item in items:
            act(item)
            count += 1
        return count
    with ThreadPoolExecutor(settings.JOB_THREADS, thread_name_prefix="veoapp-job") as pool:
        futures = [pool.submit(_alone, act, item) for item in items]
    for future in futures:
        future.result()
    return len(futures)


def _alone(act: Callable[[Item], None], item: Item) -> None:
    try:
        act(item)
    finally:
        connections.close_all()

"""A few network calls at once inside one job, each thread with a database connection of its own."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore
from typing import TypeVar

from django.conf import settings
from django.db import connections

Item = TypeVar("Item")


def each(act: Callable[[Item], None], items: Iterable[Item], *, at_once: int | None = None) -> int:
    """Call `act` for every item, JOB_THREADS at a time (0: one after another, here), or fewer when `at_once` says so.

    Items are drawn as threads become free, so a generator may decide late what comes next. Returns how many there
    were; raises the first error once all are done.
    """
    if settings.JOB_THREADS == 0:
        count = 0
        for item in items:
            act(item)
            count += 1
        return count
    threads = min(settings.JOB_THREADS, at_once or settings.JOB_THREADS)
    free = Semaphore(threads)
    with ThreadPoolExecutor(threads, thread_name_prefix="veoapp-job") as pool:
        futures = [pool.submit(_alone, act, item, free) for item in _as_free(items, free)]
    for future in futures:
        future.result()
    return len(futures)


def _as_free(items: Iterable[Item], free: Semaphore) -> Iterator[Item]:
    """Draw each item only once a thread is free for it: the pool's own queue would take them all at once."""
    free.acquire()
    for item in items:
        yield item
        free.acquire()


def _alone(act: Callable[[Item], None], item: Item, free: Semaphore) -> None:
    try:
        act(item)
    finally:
        connections.close_all()
        free.release()

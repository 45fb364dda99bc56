"""Runs a few network calls at once inside one job, each thread with its own database connection."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore
from typing import TypeVar

from django.conf import settings
from django.db import connections

Item = TypeVar("Item")


def run_each(act: Callable[[Item], None], items: Iterable[Item], *, max_threads: int | None = None) -> int:
    """Call `act` for every item in JOB_THREADS threads (0: one after another, here), or in `max_threads` if fewer.

    Items are drawn as threads become free, so a generator may decide late what comes next. Returns the number of items;
    raises the first error once all are done.
    """
    if settings.JOB_THREADS == 0:
        count = 0
        for item in items:
            act(item)
            count += 1
        return count
    threads = min(settings.JOB_THREADS, max_threads or settings.JOB_THREADS)
    free = Semaphore(threads)
    with ThreadPoolExecutor(threads, thread_name_prefix="veoapp-job") as pool:
        futures = [pool.submit(_run_one, act, item, free) for item in _draw_when_free(items, free)]
    for future in futures:
        future.result()
    return len(futures)


def _draw_when_free(items: Iterable[Item], free: Semaphore) -> Iterator[Item]:
    """Draw each item only when a thread is free for it: the pool's own queue would take them all at once."""
    free.acquire()
    for item in items:
        yield item
        free.acquire()


def _run_one(act: Callable[[Item], None], item: Item, free: Semaphore) -> None:
    try:
        act(item)
    finally:
        connections.close_all()
        free.release()

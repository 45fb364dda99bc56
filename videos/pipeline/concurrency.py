"""Runs network calls in parallel threads inside one job; each thread has its own database connection."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore
from typing import TypeVar

from django.conf import settings
from django.db import connections

Item = TypeVar("Item")


def run_each(handle: Callable[[Item], None], items: Iterable[Item], *, max_threads: int | None = None) -> int:
    """Call `handle` for every item, in JOB_THREADS threads or in `max_threads` if that is fewer.

    With JOB_THREADS = 0 the calling thread handles one item after another. An item is taken from `items` only when a
    thread is free for it, so a generator can choose each item as late as possible. Returns the number of items; if
    handling some of them failed, raises the first error once all items have been handled.
    """
    if settings.JOB_THREADS == 0:
        count = 0
        for item in items:
            handle(item)
            count += 1
        return count
    threads = min(settings.JOB_THREADS, max_threads or settings.JOB_THREADS)
    free = Semaphore(threads)
    with ThreadPoolExecutor(threads, thread_name_prefix="veoapp-job") as pool:
        futures = [pool.submit(_run_one, handle, item, free) for item in _take_when_free(items, free)]
    for future in futures:
        future.result()
    return len(futures)


def _take_when_free(items: Iterable[Item], free: Semaphore) -> Iterator[Item]:
    """Take each item only when a thread is free for it; the pool's own queue would take all of them immediately."""
    free.acquire()
    for item in items:
        yield item
        free.acquire()


def _run_one(handle: Callable[[Item], None], item: Item, free: Semaphore) -> None:
    try:
        handle(item)
    finally:
        connections.close_all()
        free.release()

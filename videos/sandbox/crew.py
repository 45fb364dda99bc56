"""A few threads that take jobs in order. Unlike the library's pool, they never hold up the end of the process."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

Result = TypeVar("Result")


class Crew:
    """At most `size` daemon threads, started when there is work for them."""

    def __init__(self, name: str, *, size: int) -> None:
        self._name = name
        self._size = size
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._over = False

    def submit(self, job: Callable[[], Result]) -> "Future[Result]":
        """Do the job on one of the threads; after `stop` its future is cancelled at once."""
        future: Future[Result] = Future()
        with self._lock:
            if self._over:
                future.cancel()
                return future
            if self._threads < self._size and self._idle <= self._jobs.qsize():
                self._threads += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
            self._jobs.put((future, job))
        return future

    def stop(self) -> None:
        """Take no more jobs and drop the waiting ones; those at work are left alone."""
        with self._lock:
            self._over = True
            for _ in range(self._threads):
                self._jobs.put(None)

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            taken = self._jobs.get()
            with self._lock:
                self._idle -= 1
            if taken is None:
                return
            future, job = taken
            if self._over or not future.set_running_or_notify_cancel():
                future.cancel()
                continue
            try:
                future.set_result(job())
            except Exception as error:  # whatever a job raises belongs to whoever waits for it
                future.set_exception(error)

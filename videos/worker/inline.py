"""Runs due jobs in a thread of the current process, for commands on a machine where no worker runs."""

import logging
import threading
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Self
from uuid import UUID

from django.db import connections

from accounts.seams import clock
from videos.models import JobRequest, VideoTask
from videos.pipeline import dispatch, downloads, polling
from videos.worker import sweep

log = logging.getLogger(__name__)

# The supervisor enqueues a canary job every 30 s.
CANARY_MAX_AGE = timedelta(seconds=40)
# Poll often, because this process receives no callbacks; polls are free.
POLL_EVERY = timedelta(seconds=5)
PAUSE_S = 1.0
# A request may take 60 s; stopping before its response would leave an unconfirmed video.
STOP_TIMEOUT_S = 75.0


def is_worker_alive() -> bool:
    """Whether a worker is running: its canary job, which does nothing else, started within the last CANARY_MAX_AGE."""
    return JobRequest.objects.filter(name="canary", started_at__gt=clock.database_now() - CANARY_MAX_AGE).exists()


class InlineWorker:
    """Sends, polls and downloads whatever is due, in a thread that runs during the `with` block.

    At the end of the block the thread finishes its current job. A worker may start meanwhile without harm.
    """

    def __init__(self, task_id: UUID) -> None:
        self._task_id = task_id
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="veoapp-inline-worker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        # A second Ctrl-C stops waiting.
        with suppress(KeyboardInterrupt):
            self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    self._run_jobs()
                except Exception:
                    # Whatever was not done is still due and is tried again.
                    log.exception("the jobs failed")
                self._stopping.wait(PAUSE_S)
        finally:
            connections.close_all()

    def _run_jobs(self) -> None:
        sweep.tidy()
        dispatch.dispatch_due()
        self._poll_soon()
        polling.poll_due()
        downloads.download_due()

    def _poll_soon(self) -> None:
        poll_at = clock.database_now() + POLL_EVERY
        at_provider = VideoTask.objects.filter(pk=self._task_id, status=VideoTask.Status.GENERATING)
        at_provider.filter(due_at__gt=poll_at).update(due_at=poll_at)

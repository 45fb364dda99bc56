"""Runs due jobs inline, without a worker: for commands on a machine where no worker runs."""

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

# The supervisor sends a canary every 30 s.
CANARY_MAX_AGE = timedelta(seconds=40)
# This process receives no callbacks, and polls are free.
POLL_EVERY = timedelta(seconds=5)
ROUND_S = 1.0
# A request may take 60 s; leaving before its answer would leave an unconfirmed video behind.
STOP_TIMEOUT_S = 75.0


def is_worker_alive() -> bool:
    """Whether a worker ran a job lately."""
    return JobRequest.objects.filter(name="canary", started_at__gt=clock.database_now() - CANARY_MAX_AGE).exists()


class InlineWorker:
    """Sends, polls and downloads whatever is due, in a thread beside the `with` block; ends with it, after the current job.

    Every act is safe beside a worker that starts meanwhile.
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
        # A second Ctrl-C leaves at once.
        with suppress(KeyboardInterrupt):
            self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    self._run_round()
                except Exception:
                    # As with a failed job: the rows tell what is due, and the next round tries again.
                    log.exception("a round of jobs failed")
                self._stopping.wait(ROUND_S)
        finally:
            connections.close_all()

    def _run_round(self) -> None:
        sweep.tidy()
        dispatch.dispatch_due()
        self._poll_soon()
        polling.poll_due()
        downloads.download_due()

    def _poll_soon(self) -> None:
        soon = clock.database_now() + POLL_EVERY
        at_provider = VideoTask.objects.filter(pk=self._task_id, status=VideoTask.Status.GENERATING)
        at_provider.filter(due_at__gt=soon).update(due_at=soon)

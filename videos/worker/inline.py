"""The worker's work without a worker: for a command on a machine where none is running."""

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
ALIVE_WITHIN = timedelta(seconds=40)
# This process hears no callbacks, and record-info is free.
ASK_EVERY = timedelta(seconds=5)
ROUND_S = 1.0
# A request that is being sent has 60 s; who leaves before its answer leaves an unconfirmed video behind.
FINISH_WITHIN_S = 75.0


def is_worker_alive() -> bool:
    """Whether a job of a worker ran lately."""
    return JobRequest.objects.filter(name="canary", started_at__gt=clock.database_now() - ALIVE_WITHIN).exists()


class Handwork:
    """Sends, asks and saves whatever is due, beside the `with` block, until its end; what was begun then is finished.

    Every act is safe beside a worker that comes back meanwhile.
    """

    def __init__(self, task_id: UUID) -> None:
        self._task_id = task_id
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._work, name="veoapp-handwork", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        # Whoever presses Ctrl-C a second time wants out at once.
        with suppress(KeyboardInterrupt):
            self._thread.join(FINISH_WITHIN_S)

    def _work(self) -> None:
        try:
            while not self._ends.is_set():
                try:
                    self._round()
                except Exception:
                    # As a job would: the rows know what is due, and the next round looks again.
                    log.exception("a round of work failed")
                self._ends.wait(ROUND_S)
        finally:
            connections.close_all()

    def _round(self) -> None:
        sweep.tidy()
        dispatch.dispatch_due()
        self._ask_soon()
        polling.poll_due()
        downloads.download_due()

    def _ask_soon(self) -> None:
        soon = clock.database_now() + ASK_EVERY
        at_provider = VideoTask.objects.filter(pk=self._task_id, status=VideoTask.Status.GENERATING)
        at_provider.filter(due_at__gt=soon).update(due_at=soon)

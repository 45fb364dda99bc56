"""The worker's supervisor: keeps a django-q cluster running, enqueues due jobs every second, and restarts a hung cluster.

If an idle worker is killed while it holds the queue's lock, the cluster stays alive, runs nothing and ignores SIGTERM.
Therefore the cluster runs in its own process group, and a canary job (which does nothing) is enqueued every 30 s. If no
canary has started for 120 s, the whole group is killed and started again. No work is lost, because the rows of tasks
and files say what is due, not the queue.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import timedelta
from types import FrameType

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections

from accounts.seams import clock
from billing.alerts import services as alerts
from videos import job_queue
from videos.models import JobRequest
from videos.worker import sweep

log = logging.getLogger(__name__)

CANARY_EVERY_S = 30.0
CANARY_TIMEOUT_S = 120.0
SWEEP_EVERY_S = 1.0
STOP_GRACE_S = 20.0
RESTART_PAUSE_S = 2.0


class Supervisor:
    """Runs the cluster until SIGTERM or SIGINT. Only tests pass intervals other than the default ones."""

    def __init__(self, *, canary_every_s: float = CANARY_EVERY_S, canary_timeout_s: float = CANARY_TIMEOUT_S) -> None:
        self.canary_every_s = canary_every_s
        self.canary_timeout_s = canary_timeout_s
        self.stopping = False
        self.cluster: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._started_at = 0.0
        self._canary_at = 0.0

    def run(self) -> None:
        """Supervise until SIGTERM or SIGINT; then stop the cluster, by SIGKILL if necessary."""
        signal.signal(signal.SIGTERM, self._request_stop)
        signal.signal(signal.SIGINT, self._request_stop)
        self._start()
        try:
            while not self.stopping:
                self._check()
                time.sleep(SWEEP_EVERY_S)
        finally:
            self._stop_cluster()

    def _check(self) -> None:
        if self.cluster is None or self.cluster.poll() is not None:
            self._restart("the cluster ended", say="worker_ended")
        try:
            close_old_connections()
            sweep.enqueue_due()
            if time.monotonic() - self._canary_at >= self.canary_every_s:
                self._canary_at = time.monotonic()
                job_queue.enqueue("canary")
            silent_s = self._silent_for_s()
        except DatabaseError as error:
            # The next check tries again with a new connection.
            log.warning("the database is unavailable: %s", type(error).__name__)
            connections.close_all()
            return
        if silent_s >= self.canary_timeout_s:
            self._restart("no job ran", say="worker_silent", silent_s=round(silent_s))

    def _silent_for_s(self) -> float:
        """Seconds since a canary job started, counted from the cluster's start at the earliest."""
        started_at = JobRequest.objects.filter(name="canary").values_list("started_at", flat=True).first()
        age_s = time.monotonic() - self._started_at
        if started_at is None:
            return age_s
        return min(age_s, (clock.database_now() - started_at) / timedelta(seconds=1))

    def _start(self) -> None:
        # When this process ends for any reason, its end of the pipe closes and the cluster's process group ends itself.
        read_end, self._lifeline = os.pipe()
        self.cluster = subprocess.Popen(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), "cluster", "--lifeline", str(read_end)],
            pass_fds=[read_end],
            start_new_session=True,
        )
        os.close(read_end)
        self._started_at = time.monotonic()
        self._canary_at = 0.0
        log.info("cluster %d started", self.cluster.pid)

    def _restart(self, reason: str, *, say: str, **facts: int) -> None:
        log.warning("restarting the cluster: %s %s", reason, facts or "")
        self._stop_cluster(grace_s=0)
        try:
            alerts.raise_alert(alerts.Kind.WORKER, cause=reason, facts={"say": [say], **facts})
        except DatabaseError:
            connections.close_all()
        time.sleep(RESTART_PAUSE_S)
        if not self.stopping:
            self._start()

    def _stop_cluster(self, *, grace_s: float = STOP_GRACE_S) -> None:
        if self.cluster is not None:
            stop_group(self.cluster, grace_s=grace_s)
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def _request_stop(self, signum: int, frame: FrameType | None) -> None:
        self.stopping = True


def stop_group(process: subprocess.Popen[bytes], *, grace_s: float) -> None:
    """Stop a process and its group: by SIGTERM and, after `grace_s` seconds, by SIGKILL."""
    if grace_s and process.poll() is None:
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            log.warning("the cluster does not stop; it is killed")
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

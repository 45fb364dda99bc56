"""`manage.py cluster`: a django-q cluster (the processes that run jobs) that ends when its supervisor ends.

It is started by `manage.py worker`, not by hand. The supervisor (`videos.worker.supervisor`) keeps one end of a pipe
open, the lifeline; when the supervisor ends in any way, the pipe closes.
"""

import os
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django_q.cluster import Cluster


class Command(BaseCommand):
    help = "Run one django-q cluster that ends with its supervisor (internal; use `manage.py worker`)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--lifeline", type=int, required=True, help="file descriptor that closes with the parent")

    def handle(self, *args: Any, **options: Any) -> None:
        cluster = Cluster()
        cluster.start()
        # Started after the cluster, because the cluster forks and would copy a running thread.
        threading.Thread(target=_end_with_parent, args=[options["lifeline"]], daemon=True).start()
        if cluster.sentinel is not None:
            cluster.sentinel.join()


def _end_with_parent(lifeline: int) -> None:
    """Wait until the supervisor has ended, then kill this process group, because nothing supervises it any more."""
    os.read(lifeline, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)

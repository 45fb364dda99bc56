"""The job queue and its workers."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from veoapp.settings.base import env

# A job only says "look now": it may run twice, late or never. The rows state what is due (videos.worker.sweep).
Q_CLUSTER: dict[str, Any] = {
    "name": "veoapp",
    "orm": "default",
    "workers": env.int("WORKERS", default=3),
    "queue_limit": 1,
    "poll": 0.5,
    "timeout": 300,
    "retry": 1200,  # far above timeout, because it counts from when a job is dequeued
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "catch_up": False,
    "recycle": 500,
    "max_rss": 700_000,
    "label": _("Jobs"),
    "has_replica": False,
}
# Concurrent network calls inside one job; 0 runs them one after another.
JOB_THREADS = env.int("JOB_THREADS", default=8)

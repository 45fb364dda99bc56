"""The job queue (django-q) and its worker processes. Retries of downloads and polls are constants in
`videos.pipeline.download_rows` and `videos.pipeline.polling`.
"""

from typing import Any

from django.utils.translation import gettext_lazy as _

from veoapp.settings.base import env

# A job only tells the worker to check for due work now: it may run twice, late or never. What is due is stored in the
# database, and `videos.worker.sweep` finds it again.
Q_CLUSTER: dict[str, Any] = {
    "name": "veoapp",
    "orm": "default",
    "workers": env.int("WORKERS", default=3),
    "queue_limit": 1,  # jobs fetched in advance
    "poll": 0.5,
    "timeout": 300,
    "retry": 1200,  # far above timeout, because it counts from when a job is dequeued
    "max_attempts": 1,  # a failed job is not repeated, because the sweep finds what is still due
    "ack_failures": True,
    "save_limit": -1,  # results of successful jobs are not stored
    "catch_up": False,
    "recycle": 500,  # a worker process is replaced after this many jobs
    "max_rss": 700_000,  # kilobytes of memory after which it is replaced, too
    "label": _("Jobs"),
    "has_replica": False,
}
# How many network calls one job runs at once; 0: one after another.
JOB_THREADS = env.int("JOB_THREADS", default=8)

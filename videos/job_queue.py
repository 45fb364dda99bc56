"""Enqueues jobs by name.

A job takes no arguments and handles everything that is due, so one waiting job of each name is enough.

If a job is lost, `videos.worker.sweep` enqueues it again.
"""

from datetime import timedelta

from django.db.models import F, Q
from django_q.tasks import async_task

from accounts.seams import clock
from videos.models import JobRequest

# The function that runs for each name; its docstring says what it does.
JOBS = {
    "dispatch": "videos.worker.tasks.dispatch",
    "poll": "videos.worker.tasks.poll",
    "download": "videos.worker.tasks.download",
    "tidy": "videos.worker.tasks.tidy",
    "balance": "videos.worker.tasks.balance",
    "notify": "videos.worker.tasks.notify",
    "alerts": "videos.worker.tasks.alerts",
    "summary": "videos.worker.tasks.summary",
    "count": "videos.worker.tasks.count",
    "canary": "videos.worker.tasks.canary",
    "books": "videos.worker.tasks.books",
    "reconcile": "videos.worker.tasks.reconcile",
    "lots": "videos.worker.tasks.lots",
}
# A job that has not started this long after it was requested counts as lost and is enqueued again.
LOST_AFTER = timedelta(seconds=60)


def enqueue(name: str) -> bool:
    """Enqueue this job unless one is already waiting to start; returns whether it did."""
    at = clock.database_now()
    none_waits = Q(requested_at=None) | Q(started_at__gte=F("requested_at")) | Q(requested_at__lt=at - LOST_AFTER)
    claimed = JobRequest.objects.filter(none_waits, name=name).update(requested_at=at)
    if not claimed:
        _, created = JobRequest.objects.get_or_create(name=name, defaults={"requested_at": at})
        if not created:
            return False
    async_task(JOBS[name])
    return True


def mark_started(name: str) -> None:
    """Record that a job has started, so that `enqueue` enqueues the next one."""
    JobRequest.objects.filter(name=name).update(started_at=clock.database_now())

"""Doorbells: rows that turn many reasons to look into one job that says "look now".

A lost bell is no loss: `videos.worker.sweep` rings for whatever is due.
"""

from datetime import timedelta

from django.db.models import F, Q
from django_q.tasks import async_task

from accounts.seams import clock
from videos.models import Doorbell

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
# A bell that nobody answered for so long is rung again: its job was lost.
LOST_AFTER = timedelta(seconds=60)


def ring(name: str) -> bool:
    """Enqueue the bell's job unless one is already on its way; says whether it did."""
    at = clock.database_now()
    idle = Q(rung_at=None) | Q(answered_at__gte=F("rung_at")) | Q(rung_at__lt=at - LOST_AFTER)
    rung = Doorbell.objects.filter(idle, name=name).update(rung_at=at)
    if not rung:
        _, created = Doorbell.objects.get_or_create(name=name, defaults={"rung_at": at})
        if not created:
            return False
    async_task(JOBS[name])
    return True


def answer(name: str) -> None:
    """A job for this bell begins: whoever rings from now on is heard by the next job."""
    Doorbell.objects.filter(name=name).update(answered_at=clock.database_now())

"""Doorbells: rows that turn many reasons to look into one job that says "look now".

A lost bell is no loss: `videos.sweep` rings for whatever is due.
"""

from datetime import timedelta

from django.db.models import F, Q
from django_q.tasks import async_task

from accounts.doors import clock
from videos.models import Doorbell

JOBS = {
    "dispatch": "videos.tasks.dispatch",
    "poll": "videos.tasks.poll",
    "download": "videos.tasks.download",
    "tidy": "videos.tasks.tidy",
    "balance": "videos.tasks.balance",
    "notify": "videos.tasks.notify",
    "alerts": "videos.tasks.alerts",
    "summary": "videos.tasks.summary",
    "count": "videos.tasks.count",
    "canary": "videos.tasks.canary",
    "books": "videos.tasks.books",
    "reconcile": "videos.tasks.reconcile",
    "lots": "videos.tasks.lots",
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

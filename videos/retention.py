"""How long a finished video is kept: VIDEO_RETENTION_DAYS, or until its owner deletes it."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max

from videos import lifecycle, owners
from videos.models import VideoTask

BATCH = 200


def expire_old(now: datetime) -> int:
    """Delete what was stored longer ago than is kept, as its owner would; returns how many. 0 days: nothing ever."""
    days = settings.VIDEO_RETENTION_DAYS
    if days <= 0:
        return 0
    stored = VideoTask.objects.filter(status__in=VideoTask.FINAL, deleted_at=None).annotate(
        last_stored_at=Max("files__stored_at")
    )
    aged = stored.filter(last_stored_at__lt=now - timedelta(days=days)).order_by("last_stored_at")
    expired = 0
    for task_id in list(aged.values_list("pk", flat=True)[:BATCH]):
        if owners.delete(task_id=task_id, actor=None):
            lifecycle.note(task_id=task_id, code="retention", detail=f"kept for {days} days")
            expired += 1
    return expired

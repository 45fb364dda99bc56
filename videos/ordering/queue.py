"""The queue of waiting videos: its length, a video's position, and the expected wait."""

from datetime import datetime

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from accounts.seams import clock
from videos.lifecycle.deadlines import MAX_QUEUE_WAIT, UNCONFIRMED_ALERT_AFTER
from videos.models import VideoTask
from videos.ordering.typical_times import typical_times

Status = VideoTask.Status


def count_waiting() -> int:
    """The number of queued videos."""
    return VideoTask.objects.filter(status=Status.QUEUED).count()


def count_running_by_user() -> dict[int, int]:
    """The number of videos that the provider is probably working on, by user id."""
    # A task whose response was lost long ago has most likely ended at the provider, so it is not counted.
    stale = Q(status=Status.UNCONFIRMED, submitted_at__lt=clock.database_now() - UNCONFIRMED_ALERT_AFTER)
    rows = VideoTask.objects.filter(status__in=VideoTask.RUNNING).exclude(stale)
    return dict(rows.values_list("user_id").annotate(count=Count("id")))


def count_ahead(task: VideoTask) -> tuple[int, int]:
    """How many tasks were ordered before a queued one and still wait: those of the same user, and those of all users."""
    ahead = VideoTask.objects.filter(status=Status.QUEUED, created_at__lt=task.created_at)
    return ahead.filter(user_id=task.user_id).count(), ahead.count()


def expected_wait_s(ahead: int | None = None) -> float:
    """Estimated seconds until a video behind `ahead` others (default: the whole queue) would start.

    A video starts when the provider's rate limit allows a request and one of the MAX_CONCURRENT_VIDEOS slots is free.
    """
    ahead = count_waiting() if ahead is None else ahead
    rate_wait_s: float = ahead * settings.PROVIDER_RATE_WINDOW_S / settings.PROVIDER_RATE_LIMIT
    running = sum(count_running_by_user().values())
    slots: int = max(settings.MAX_CONCURRENT_VIDEOS, 1)
    typical_s = sum(times.p50_s for times in typical_times().values()) / max(len(typical_times()), 1)
    waiting_for_slot = max(0, ahead + running + 1 - slots)
    return max(rate_wait_s, waiting_for_slot * typical_s / slots)


def list_overdue(at: datetime) -> QuerySet[VideoTask]:
    """The queued tasks that have waited too long at `at` and are to be refunded.

    A task that waits for a budget is overdue only a day after the budget's next calendar period begins, because the tasks
    that waited for it do not all start at the same time. Its owner sees until when it waits and may cancel it.
    """
    cutoff = at - MAX_QUEUE_WAIT
    waits_for_budget = Q(wait_code__startswith="budget_", wait_until__gt=cutoff)
    return VideoTask.objects.filter(status=Status.QUEUED, created_at__lt=cutoff).exclude(waits_for_budget)

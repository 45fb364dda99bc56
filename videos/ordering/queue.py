"""The queue of waiting videos: its length, a video's position, and the expected wait."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from accounts.seams import clock
from videos.lifecycle.deadlines import MAX_QUEUE_WAIT
from videos.models import VideoTask
from videos.ordering.typical_times import typical_times

Status = VideoTask.Status


def count_waiting() -> int:
    """The number of queued videos."""
    return VideoTask.objects.filter(status=Status.QUEUED).count()


def count_running_by_user() -> dict[int, int]:
    """The number of videos at the provider by user id, as far as we know."""
    # A request whose answer was lost long ago has most likely ended there, so it does not use up a place for ever.
    stale = Q(status=Status.UNCONFIRMED, submitted_at__lt=clock.database_now() - timedelta(minutes=15))
    rows = VideoTask.objects.filter(status__in=VideoTask.RUNNING).exclude(stale)
    return dict(rows.values_list("user_id").annotate(count=Count("id")))


def count_ahead(task: VideoTask) -> tuple[int, int]:
    """How many tasks are ahead of a queued one: the same user's, and all (counted by order time alone)."""
    ahead = VideoTask.objects.filter(status=Status.QUEUED, created_at__lt=task.created_at)
    return ahead.filter(user_id=task.user_id).count(), ahead.count()


def expected_wait_s(ahead: int | None = None) -> float:
    """Estimated seconds until a video behind `ahead` others (default: the whole queue) would start."""
    ahead = count_waiting() if ahead is None else ahead
    by_rate: float = ahead * settings.PROVIDER_RATE_WINDOW_S / settings.PROVIDER_RATE_LIMIT
    running = sum(count_running_by_user().values())
    places: int = max(settings.MAX_CONCURRENT_VIDEOS, 1)
    typical_s = sum(times.p50_s for times in typical_times().values()) / max(len(typical_times()), 1)
    behind = max(0, ahead + running + 1 - places)
    return max(by_rate, behind * typical_s / places)


def list_overdue(at: datetime) -> QuerySet[VideoTask]:
    """The queued tasks that have waited too long at `at` and are to be refunded.

    A task that waits for a budget shows until when and can be cancelled at any time, so it is overdue only a day after
    that time: when the budget's next window begins, the tasks that waited for it do not all start at once.
    """
    cutoff = at - MAX_QUEUE_WAIT
    waits_for_budget = Q(wait_code__startswith="budget_", wait_until__gt=cutoff)
    return VideoTask.objects.filter(status=Status.QUEUED, created_at__lt=cutoff).exclude(waits_for_budget)

"""The line of waiting videos: how long it is, who stands where, and when a new one would start."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from accounts.seams import clock
from videos.models import VideoTask
from videos.ordering.typical_times import typical_times

Status = VideoTask.Status

# A queued task that waited so long takes its refund by itself.
MAX_WAIT = timedelta(days=1)


def count_waiting() -> int:
    """How many videos wait."""
    return VideoTask.objects.filter(status=Status.QUEUED).count()


def count_running_by_user() -> dict[int, int]:
    """How many of each user's videos are at the provider, as far as we know."""
    # A request whose answer was lost long ago hardly still runs there: it does not hold a place for ever.
    stale = Q(status=Status.UNCONFIRMED, submitted_at__lt=clock.database_now() - timedelta(minutes=15))
    rows = VideoTask.objects.filter(status__in=VideoTask.RUNNING).exclude(stale)
    return dict(rows.values_list("user_id").annotate(count=Count("id")))


def count_ahead(task: VideoTask) -> tuple[int, int]:
    """How many stand before a waiting task: of the same user, and of all (as if served by time alone)."""
    ahead = VideoTask.objects.filter(status=Status.QUEUED, created_at__lt=task.created_at)
    return ahead.filter(user_id=task.user_id).count(), ahead.count()


def expected_wait_s(ahead: int | None = None) -> float:
    """About how long until a video that stands behind `ahead` others (all, unless given) would start, in seconds."""
    ahead = count_waiting() if ahead is None else ahead
    by_rate: float = ahead * settings.PROVIDER_RATE_WINDOW_S / settings.PROVIDER_RATE_LIMIT
    running = sum(count_running_by_user().values())
    places: int = max(settings.MAX_CONCURRENT_VIDEOS, 1)
    typical_s = sum(times.p50_s for times in typical_times().values()) / max(len(typical_times()), 1)
    behind = max(0, ahead + running + 1 - places)
    return max(by_rate, behind * typical_s / places)


def list_overdue(at: datetime) -> QuerySet[VideoTask]:
    """The tasks that waited longer than anybody should by then: they take their refund.

    Who waits for a budget was told until when and may cancel at any time: only a day after that is such a wait too long,
    for when the budget's new window begins, not all who waited for it go in the same moment.
    """
    longest = at - MAX_WAIT
    told = Q(wait_code__startswith="budget_", wait_until__gt=longest)
    return VideoTask.objects.filter(status=Status.QUEUED, created_at__lt=longest).exclude(told)

"""What the watch over spending (`billing.unusual`) must hear from here: how videos ended lately. The sweep's chore."""

from collections import Counter
from datetime import datetime

from django.conf import settings

from billing import holds, provider_accounts, unusual
from billing.models import WatchTrip
from billing.unusual import Ended
from videos.models import VideoTask
from videos.providers.base import RefusalReason

Status = VideoTask.Status

# Failures that the order brought about, or a person: they say nothing about how well the provider works.
NOT_THE_PROVIDERS = [
    RefusalReason.CONTENT_POLICY,
    RefusalReason.UNSAFE_IMAGE,
    RefusalReason.PROMINENT_PERSON,
    RefusalReason.LANGUAGE,
    RefusalReason.AUDIO,
    "operator",
]


def check_recent_outcomes() -> list[WatchTrip]:
    """Forget holds that are over, and look at what is being spent; returns what tripped."""
    holds.end_over()
    if not settings.UNUSUAL_WATCH:
        unusual.end_trips()
        return []
    try:
        account = provider_accounts.current()
    except provider_accounts.NoProviderKey:
        return []
    return unusual.watch(account_id=account.pk, ended=lambda since: ended_after(since, account_id=account.pk))


def ended_after(since: datetime, *, account_id: int) -> Ended:
    """How the newest videos of this account ended, those left out whose failure is not the provider's."""
    ended = VideoTask.objects.filter(
        status__in=[Status.READY, Status.FAILED], finished_at__gt=since, account_id=account_id
    ).exclude(failure_code__in=NOT_THE_PROVIDERS)
    newest = ended.order_by("-finished_at").values_list("status", "failure_code")[: unusual.FAILURES_LOOKED_AT]
    return Ended(len(newest), Counter(code for status, code in newest if status == Status.FAILED))

"""What the watch over spending (`billing.guard.anomalies`) must hear from here: how videos ended lately. The sweep's chore."""

from collections import Counter
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from billing.alerts import services as alerts
from billing.guard import anomalies, user_holds
from billing.guard.anomalies import RecentOutcomes
from billing.models import Alert, ProviderAccount, WatchTrip
from billing.provider import accounts as provider_accounts
from videos.models import CallbackReceipt, VideoTask
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
    user_holds.delete_expired()
    if not settings.UNUSUAL_WATCH:
        anomalies.end_finished_trips()
        return []
    try:
        account = provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        return []
    return anomalies.check_anomalies(
        account_id=account.pk, outcomes_since=lambda since: ended_after(since, account_id=account.pk)
    )


def ended_after(since: datetime, *, account_id: int) -> RecentOutcomes:
    """How the newest videos of this account ended, those left out whose failure is not the provider's."""
    ended = VideoTask.objects.filter(
        status__in=[Status.READY, Status.FAILED], finished_at__gt=since, account_id=account_id
    ).exclude(failure_code__in=NOT_THE_PROVIDERS)
    newest = ended.order_by("-finished_at").values_list("status", "failure_code")[: anomalies.MAX_JOBS_FOR_FAILURES]
    return RecentOutcomes(len(newest), Counter(code for status, code in newest if status == Status.FAILED))


KIND = Alert.Kind.CALLBACKS_DRY

# The newest verdicts; fewer than ENOUGH say nothing yet.
LOOKED_AT, ENOUGH = 40, 20
# A poll comes before the call now and then; before four of five only where hardly any call comes. By half: they come.
DRY_SHARE, HEALTHY_SHARE = 0.8, 0.5
# Names that only a house of one's own knows.
PRIVATE_ENDS = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".test")


def check_callbacks() -> None:
    """Raise the alert unless it stands; end it when calls come again. The sandbox's calls are nobody's concern."""
    try:
        account = provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        return
    if account.source == ProviderAccount.Source.SANDBOX:
        return
    ways = _ways(account.pk)
    polled = ways.count("poll")
    if len(ways) < ENOUGH:
        return
    if polled <= HEALTHY_SHARE * len(ways):
        alerts.resolve_alerts(KIND)
    elif polled > DRY_SHARE * len(ways) and not Alert.objects.filter(kind=KIND, resolved_at=None).exists():
        alerts.raise_alert(KIND, facts={"polled": polled, "verdicts": len(ways), **_why()})


def is_private(address: str) -> bool:
    """Whether an address of the web is of a house, not of the internet, as far as its name tells."""
    host = urlsplit(address).hostname or ""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(PRIVATE_ENDS)


def _ways(account_id: int) -> list[str]:
    """How the newest verdicts came, as far as they are this account's; those that mended something are left out."""
    known = VideoTask.objects.filter(settled_by__in=["callback", "poll"]).order_by("-created_at")
    newest = known.values_list("account_id", "settled_by")[:LOOKED_AT]
    return [way for mine, way in newest if mine == account_id]


def _why() -> dict[str, Any]:
    """What may be the reason, as facts of the alert."""
    address: str = settings.CALLBACK_BASE_URL
    if is_private(address):
        return {"say": ["callbacks_dry", "callbacks_private"], "address": address}
    calls = CallbackReceipt.objects.filter(task__isnull=False).order_by("-last_at")
    called_at = calls.values_list("last_at", flat=True).first()
    if called_at is None:
        return {"say": ["callbacks_dry", "callbacks_never"], "address": address}
    return {"say": ["callbacks_dry", "callbacks_ended"], "address": address, "called_at": called_at.isoformat()}

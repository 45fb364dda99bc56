"""Regular checks: unusual spending and failures (by `billing.guard.anomalies`), and whether callbacks arrive."""

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

# Failures caused by the order or by an operator, not by the provider.
UNRELATED_FAILURES = [
    RefusalReason.CONTENT_POLICY,
    RefusalReason.UNSAFE_IMAGE,
    RefusalReason.PROMINENT_PERSON,
    RefusalReason.LANGUAGE,
    RefusalReason.AUDIO,
    "operator",
]


def check_recent_outcomes() -> list[WatchTrip]:
    """Run the spending monitor once, and delete expired user holds (each blocks the orders of one user).

    Returns the trips: the new cases in which the spending monitor (`billing.guard.anomalies`) has stopped something.
    """
    user_holds.delete_expired()
    if not settings.UNUSUAL_WATCH:
        anomalies.end_finished_trips()
        return []
    try:
        account = provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        return []
    return anomalies.check_anomalies(
        account_id=account.pk, outcomes_since=lambda since: recent_outcomes(since, account_id=account.pk)
    )


def recent_outcomes(since: datetime, *, account_id: int) -> RecentOutcomes:
    """How the newest videos of this account ended; leaves out UNRELATED_FAILURES."""
    ended = VideoTask.objects.filter(
        status__in=[Status.READY, Status.FAILED], finished_at__gt=since, account_id=account_id
    ).exclude(failure_code__in=UNRELATED_FAILURES)
    newest = ended.order_by("-finished_at").values_list("status", "failure_code")[: anomalies.FAILURE_SAMPLE_SIZE]
    return RecentOutcomes(len(newest), Counter(code for status, code in newest if status == Status.FAILED))


KIND = Alert.Kind.CALLBACKS_STOPPED

# A verdict is the provider's result for a video, ready or failed.
# How many of the newest verdicts are checked, and how many are needed to check at all.
SAMPLE_SIZE, MIN_SAMPLE = 40, 20
# Limits for the share of verdicts found by polls: above the first an alert is raised, at the second or below it is
# resolved. A poll sometimes finds the verdict before the callback arrives, so even a healthy share is not zero.
MISSING_SHARE, HEALTHY_SHARE = 0.8, 0.5
# Host names that only a local network resolves.
PRIVATE_SUFFIXES = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".test")


def check_callbacks() -> None:
    """Raise an alert if callbacks are missing; resolve it if they arrive again. The sandbox account is not checked."""
    try:
        account = provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        return
    if account.source == ProviderAccount.Source.SANDBOX:
        return
    sources = _verdict_sources(account.pk)
    polled = sources.count("poll")
    if len(sources) < MIN_SAMPLE:
        return
    if polled <= HEALTHY_SHARE * len(sources):
        alerts.resolve_alerts(KIND)
    elif polled > MISSING_SHARE * len(sources) and not Alert.objects.filter(kind=KIND, resolved_at=None).exists():
        alerts.raise_alert(KIND, facts={"polled": polled, "verdicts": len(sources), **_alert_facts()})


def is_private(url: str) -> bool:
    """Whether the host of a URL seems to be on a local network, judged by its name or IP address."""
    host = urlsplit(url).hostname or ""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(PRIVATE_SUFFIXES)


def _verdict_sources(account_id: int) -> list[str]:
    """How this account's verdicts arrived ("callback" or "poll"), among the newest SAMPLE_SIZE of all accounts."""
    settled = VideoTask.objects.filter(settled_by__in=["callback", "poll"]).order_by("-created_at")
    newest = settled.values_list("account_id", "settled_by")[:SAMPLE_SIZE]
    return [source for task_account_id, source in newest if task_account_id == account_id]


def _alert_facts() -> dict[str, Any]:
    """Facts for the alert: the likely reason why callbacks are missing."""
    url: str = settings.CALLBACK_BASE_URL
    if is_private(url):
        # "say" holds the keys of the alert's sentences in `billing.alerts`.
        return {"say": ["callbacks_dry", "callbacks_private"], "address": url}
    callbacks = CallbackReceipt.objects.filter(task__isnull=False).order_by("-last_at")
    last_callback_at = callbacks.values_list("last_at", flat=True).first()
    if last_callback_at is None:
        return {"say": ["callbacks_dry", "callbacks_never"], "address": url}
    return {"say": ["callbacks_dry", "callbacks_ended"], "address": url, "called_at": last_callback_at.isoformat()}

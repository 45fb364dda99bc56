"""Checks that the sweep runs: how videos ended lately (for `billing.guard.anomalies`), and whether callbacks arrive."""

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

# Failures caused by the order or an operator: they say nothing about how well the provider works.
UNRELATED_FAILURES = [
    RefusalReason.CONTENT_POLICY,
    RefusalReason.UNSAFE_IMAGE,
    RefusalReason.PROMINENT_PERSON,
    RefusalReason.LANGUAGE,
    RefusalReason.AUDIO,
    "operator",
]


def check_recent_outcomes() -> list[WatchTrip]:
    """End holds that are over, and check spending and failures for anomalies; returns the new trips."""
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
    """How the newest videos of this account ended, without failures that are not the provider's."""
    ended = VideoTask.objects.filter(
        status__in=[Status.READY, Status.FAILED], finished_at__gt=since, account_id=account_id
    ).exclude(failure_code__in=UNRELATED_FAILURES)
    newest = ended.order_by("-finished_at").values_list("status", "failure_code")[: anomalies.MAX_JOBS_FOR_FAILURES]
    return RecentOutcomes(len(newest), Counter(code for status, code in newest if status == Status.FAILED))


KIND = Alert.Kind.CALLBACKS_STOPPED

# How many of the newest verdicts are judged, and how few are too few.
SAMPLE_SIZE, MIN_SAMPLE = 40, 20
# A poll sometimes finds the verdict before the callback. Above the first share callbacks are missing, below the second fine.
MISSING_SHARE, HEALTHY_SHARE = 0.8, 0.5
# Host names that only a local network resolves.
PRIVATE_SUFFIXES = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".test")


def check_callbacks() -> None:
    """Alert when callbacks are missing, and resolve the alert when they arrive again. The sandbox is not checked."""
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


def is_private(address: str) -> bool:
    """Whether a URL's host is on a local network, as far as its name or address tells."""
    host = urlsplit(address).hostname or ""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(PRIVATE_SUFFIXES)


def _verdict_sources(account_id: int) -> list[str]:
    """Where the newest verdicts came from, if of this account; repairs are left out."""
    settled = VideoTask.objects.filter(settled_by__in=["callback", "poll"]).order_by("-created_at")
    newest = settled.values_list("account_id", "settled_by")[:SAMPLE_SIZE]
    return [source for owner_id, source in newest if owner_id == account_id]


def _alert_facts() -> dict[str, Any]:
    """The likely reason, as facts of the alert."""
    address: str = settings.CALLBACK_BASE_URL
    if is_private(address):
        return {"say": ["callbacks_dry", "callbacks_private"], "address": address}
    callbacks = CallbackReceipt.objects.filter(task__isnull=False).order_by("-last_at")
    called_at = callbacks.values_list("last_at", flat=True).first()
    if called_at is None:
        return {"say": ["callbacks_dry", "callbacks_never"], "address": address}
    return {"say": ["callbacks_dry", "callbacks_ended"], "address": address, "called_at": called_at.isoformat()}

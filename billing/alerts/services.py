"""Raises, counts and resolves alerts to operators: one alert for each cause and window, however often it is triggered.

A window is a calendar hour, day or month in the site's time zone. The first trigger creates an alert, later ones increment
its count, and it is resolved when its cause ends. If the cause returns within the window, the same alert is reopened; in
a later window a new alert replaces it. `billing.alerts.outbox` queues the notifications.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.http import HttpRequest
from django.urls import reverse

from accounts.models import User
from accounts.seams import clock
from billing.alerts import messages as alert_messages
from billing.alerts import outbox as alert_outbox
from billing.common.periods import window_at
from billing.models import Alert, GroupedJob, Period

Kind = Alert.Kind
Severity = Alert.Severity

# The cause of a grouped alert (`billing.alerts.grouping`).
GROUP_CAUSE = ""
CAUSE_LENGTH = 200
DETAIL_LENGTH = 4000

# Other kinds are INFO.
SEVERITY = {
    Kind.LOW_BALANCE: Severity.WARNING,
    Kind.CRITICAL_BALANCE: Severity.CRITICAL,
    Kind.OUT_OF_CREDITS: Severity.CRITICAL,
    Kind.ACCESS_DENIED: Severity.CRITICAL,
    Kind.PROVIDER_TROUBLE: Severity.WARNING,
    Kind.UNCONFIRMED: Severity.WARNING,
    Kind.POSSIBLE_SPEND: Severity.WARNING,
    Kind.FORBIDDEN_ADDRESS: Severity.CRITICAL,
    Kind.DOWNLOAD_FAILED: Severity.WARNING,
    Kind.STORAGE: Severity.CRITICAL,
    Kind.WORKER: Severity.WARNING,
    Kind.BOOKS_UNBALANCED: Severity.CRITICAL,
    Kind.BOOKS_LATE: Severity.WARNING,
    Kind.BUDGET_SOFT: Severity.WARNING,
    Kind.BUDGET_HARD: Severity.CRITICAL,
    Kind.UNUSUAL_SPEND: Severity.CRITICAL,
    Kind.FAILURE_RATE: Severity.CRITICAL,
    Kind.USER_BURST: Severity.WARNING,
    Kind.UNEXPLAINED_SPEND: Severity.WARNING,
    Kind.PRICE_CHANGED: Severity.WARNING,
    Kind.NEGATIVE_MARGIN: Severity.WARNING,
    Kind.CALLBACKS_STOPPED: Severity.WARNING,
    Kind.SUMMARY_UNSENT: Severity.WARNING,
}


def raise_alert(
    kind: Alert.Kind,
    *,
    cause: str = "",
    detail: str = "",
    facts: Mapping[str, Any] | None = None,
    reference: str = "",
    window: Period | str = Period.DAY,
    severity: Alert.Severity | None = None,
) -> Alert:
    """Create an alert for this kind, cause and window, or increment the existing one and replace its text.

    The text is built from `facts` (see `billing.alerts.messages`), or given as `detail`. `window` is the period in which
    the cause has one alert. The alert and its notifications are written in the caller's transaction, if there is one.
    """
    at = clock.now()
    cause = cause[:CAUSE_LENGTH]
    key = f"{kind}:{cause}:{window}:{window_at(window, at).starts_at:%Y-%m-%dT%H%M}"
    text = _text_fields(kind, detail, facts or {})
    while not _increment(key, at, text) and not _reopen(key, at, text):
        try:
            with transaction.atomic():
                alert = Alert.objects.create(
                    kind=kind,
                    severity=severity or SEVERITY.get(kind, Severity.INFO),
                    cause=cause,
                    reference=reference,
                    window_key=key,
                    first_at=at,
                    last_at=at,
                    **text,
                )
                _replace_earlier(alert)
                alert_outbox.queue_raised(alert)
                return alert
        except IntegrityError:
            # Another process created the alert first, so this trigger increments it.
            continue
    return Alert.objects.get(window_key=key)


def resolve_alerts(kind: Alert.Kind, *, cause: str | None = None) -> int:
    """Resolve the open alerts of a kind (and cause); returns how many."""
    alerts = Alert.objects.filter(kind=kind, resolved_at=None)
    if cause is not None:
        alerts = alerts.filter(cause=cause[:CAUSE_LENGTH])
    return sum(_resolve(alert_id) for alert_id in alerts.order_by("pk").values_list("pk", flat=True))


def update_facts(kind: Alert.Kind, *, cause: str, facts: Mapping[str, Any]) -> None:
    """Replace the text of an open alert without incrementing its count."""
    Alert.objects.filter(kind=kind, cause=cause, resolved_at=None).update(**_text_fields(kind, "", facts))


def resolve_by_hand(*, alert_id: int, actor: User) -> bool:
    """Acknowledge and resolve an alert and all jobs that it groups, for an operator; False if it already was resolved."""
    acknowledge(alert_id=alert_id, actor=actor)
    with transaction.atomic():
        grouped_kinds = Alert.objects.filter(pk=alert_id, cause=GROUP_CAUSE).values("kind")
        GroupedJob.objects.filter(kind__in=grouped_kinds, ended_at=None).update(ended_at=clock.now())
        return _resolve(alert_id)


def acknowledge(*, alert_id: int, actor: User) -> bool:
    """Record that an operator acknowledged an alert; False if it already was."""
    return bool(
        Alert.objects.filter(id=alert_id, acknowledged_at=None).update(
            acknowledged_at=clock.now(), acknowledged_by=actor
        )
    )


def snooze(*, alert_id: int, actor: User, until: datetime) -> bool:
    """Hide an open alert, and its successors in later windows, until `until`; then it reappears automatically."""
    return bool(
        Alert.objects.filter(id=alert_id, resolved_at=None).update(
            snoozed_until=until, snoozed_by=actor, acknowledged_at=None, acknowledged_by=None
        )
    )


def waiting_condition(at: datetime) -> Q:
    """Alerts that wait for an operator: open, not acknowledged, not snoozed."""
    return Q(resolved_at=None, acknowledged_at=None) & ~snoozed_condition(at)


def snoozed_condition(at: datetime) -> Q:
    """Open alerts that are snoozed now."""
    return Q(resolved_at=None, snoozed_until__gt=at, snoozed_until__isnull=False)


def _text_fields(kind: Alert.Kind, detail: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the text fields; empty if there is no text, so that the previous one is kept."""
    english = alert_messages.format_english(kind, facts) or detail
    return {"detail": english[:DETAIL_LENGTH], "facts": facts} if english else {}


def _increment(key: str, at: datetime, text: dict[str, Any]) -> bool:
    """Increment the open alert in one statement without a lookup, because this may run very often."""
    return bool(Alert.objects.filter(window_key=key, resolved_at=None).update(count=F("count") + 1, last_at=at, **text))


def _reopen(key: str, at: datetime, text: dict[str, Any]) -> bool:
    """Reopen the resolved alert of this window and clear its acknowledgement; False if there is none."""
    resolved = Alert.objects.filter(window_key=key, resolved_at__isnull=False)
    with transaction.atomic():
        reopened = resolved.update(
            count=F("count") + 1,
            last_at=at,
            reopened_at=at,
            resolved_at=None,
            acknowledged_at=None,
            acknowledged_by=None,
            **text,
        )
        if reopened:
            alert_outbox.queue_reopened(Alert.objects.get(window_key=key))
    return bool(reopened)


def _replace_earlier(alert: Alert) -> None:
    """Resolve the open alerts of earlier windows with the same cause; the new alert inherits their snooze."""
    earlier = Alert.objects.filter(kind=alert.kind, cause=alert.cause, resolved_at=None).exclude(pk=alert.pk)
    snoozed = earlier.filter(snoozed_condition(alert.first_at)).order_by("-snoozed_until").first()
    if snoozed is not None:
        alert.snoozed_until, alert.snoozed_by = snoozed.snoozed_until, snoozed.snoozed_by
        alert.save(update_fields=["snoozed_until", "snoozed_by"])
    alert_outbox.drop_superseded(earlier)
    earlier.update(resolved_at=alert.first_at)


def _resolve(alert_id: int) -> bool:
    with transaction.atomic():
        resolved = Alert.objects.filter(pk=alert_id, resolved_at=None).update(resolved_at=clock.now())
        if resolved:
            alert_outbox.queue_resolved(alert_id)
    return bool(resolved)


# The banner links to and acknowledges at most this many alerts together.
BANNER_LIMIT = 20


@dataclass(frozen=True)
class BannerItem:
    """A critical alert in the banner: its title, its own page, and the inbox of all critical alerts."""

    id: int
    title: str
    url: str
    inbox: str


def list_banner_items(request: HttpRequest) -> list[BannerItem]:
    """The critical alerts that wait for this operator, newest first; empty for other users. One query for an operator."""
    user = request.user
    if not user.is_staff:
        return []
    critical = Alert.objects.filter(waiting_condition(clock.now()), severity=Alert.Severity.CRITICAL)
    listed = list(critical.order_by("-last_at").only("kind")[:BANNER_LIMIT])
    # Permissions cost queries, so they are checked only when there is something to show.
    if not listed or not user.has_perm("billing.change_alert") or not admin.site.has_permission(request):
        return []
    inbox = f"{reverse('admin:billing_alert_changelist')}?state=open&severity__exact=critical"
    return [
        BannerItem(alert.pk, alert.get_kind_display(), reverse("admin:billing_alert_change", args=[alert.pk]), inbox)
        for alert in listed
    ]

"""Tells operators, once for each cause and window, however often it happens.

An entry opens with its first trigger, counts the others, and ends when its cause does. If the cause comes back within
the window, the same entry opens again and says so; in the next window a new one takes over and the old one ends.
`billing.alerts.outbox` carries the news.
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
from billing.common.periods import window_at as window_of
from billing.models import Alert, GatheredCause, Period

Kind = Alert.Kind
Severity = Alert.Severity

# The cause of an alert that speaks for many of its kind (`billing.alerts.grouping`).
GROUP_CAUSE = ""
CAUSE_LENGTH = 200
DETAIL_LENGTH = 4000

# What is not named here is a notice.
SEVERITY = {
    Kind.LOW_BALANCE: Severity.WARNING,
    Kind.CRITICAL_BALANCE: Severity.CRITICAL,
    Kind.OUT_OF_CREDITS: Severity.CRITICAL,
    Kind.ACCESS_DENIED: Severity.CRITICAL,
    Kind.PROVIDER_TROUBLE: Severity.WARNING,
    Kind.UNCONFIRMED: Severity.WARNING,
    Kind.POSSIBLE_SPEND: Severity.WARNING,
    Kind.FORBIDDEN_ADDRESS: Severity.CRITICAL,
    Kind.UNDOWNLOADED: Severity.WARNING,
    Kind.STORAGE: Severity.CRITICAL,
    Kind.WORKER: Severity.WARNING,
    Kind.BOOKS: Severity.CRITICAL,
    Kind.BOOKS_LATE: Severity.WARNING,
    Kind.BUDGET_SOFT: Severity.WARNING,
    Kind.BUDGET_HARD: Severity.CRITICAL,
    Kind.UNUSUAL_SPEND: Severity.CRITICAL,
    Kind.FAILURE_RATE: Severity.CRITICAL,
    Kind.USER_BURST: Severity.WARNING,
    Kind.UNEXPLAINED_SPEND: Severity.WARNING,
    Kind.PRICE_CHANGED: Severity.WARNING,
    Kind.NEGATIVE_MARGIN: Severity.WARNING,
    Kind.CALLBACKS_DRY: Severity.WARNING,
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
    """Note an alert: the first of its kind, cause and window makes an entry; the others count it up, with the newest words.

    The words are `facts`, which `billing.alerts.messages` has sentences for, or else a `detail` of somebody else's.
    Windows are the site's hours, days and months. May be called inside a transaction: the entry and its news belong to it.
    """
    at = clock.now()
    cause = cause[:CAUSE_LENGTH]
    key = f"{kind}:{cause}:{window}:{window_of(window, at).starts_at:%Y-%m-%dT%H%M}"
    words = _words(kind, detail, facts or {})
    while not _count_up(key, at, words) and not _open_again(key, at, words):
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
                    **words,
                )
                _take_over(alert)
                alert_outbox.queue_raised(alert)
                return alert
        except IntegrityError:
            # Another process was first by a moment; ours counts as the second.
            continue
    return Alert.objects.get(window_key=key)


def resolve_alerts(kind: Alert.Kind, *, cause: str | None = None) -> int:
    """Mark open alerts of a kind (and cause) as over; returns how many."""
    alerts = Alert.objects.filter(kind=kind, resolved_at=None)
    if cause is not None:
        alerts = alerts.filter(cause=cause[:CAUSE_LENGTH])
    return sum(_end(alert_id) for alert_id in alerts.order_by("pk").values_list("pk", flat=True))


def update_facts(kind: Alert.Kind, *, cause: str, facts: Mapping[str, Any]) -> None:
    """Newer words for what is open."""
    Alert.objects.filter(kind=kind, cause=cause, resolved_at=None).update(**_words(kind, "", facts))


def resolve_by_hand(*, alert_id: int, actor: User) -> bool:
    """A person says that it is over, and so has seen it, and all that it speaks for; False when it was over already."""
    acknowledge(alert_id=alert_id, actor=actor)
    with transaction.atomic():
        spoken_for = Alert.objects.filter(pk=alert_id, cause=GROUP_CAUSE).values("kind")
        GatheredCause.objects.filter(kind__in=spoken_for, ended_at=None).update(ended_at=clock.now())
        return _end(alert_id)


def acknowledge(*, alert_id: int, actor: User) -> bool:
    """A person has seen it; False when somebody had already."""
    return bool(
        Alert.objects.filter(id=alert_id, acknowledged_at=None).update(
            acknowledged_at=clock.now(), acknowledged_by=actor
        )
    )


def snooze(*, alert_id: int, actor: User, until: datetime) -> bool:
    """Put an open alert aside until then, with all that follows it in later windows; it comes back by itself."""
    return bool(
        Alert.objects.filter(id=alert_id, resolved_at=None).update(
            snoozed_until=until, snoozed_by=actor, acknowledged_at=None, acknowledged_by=None
        )
    )


def waiting_condition(at: datetime) -> Q:
    """What waits for a person: open, not seen, not put aside."""
    return Q(resolved_at=None, acknowledged_at=None) & ~snoozed_condition(at)


def snoozed_condition(at: datetime) -> Q:
    """Open, and put aside for now."""
    return Q(resolved_at=None, snoozed_until__gt=at, snoozed_until__isnull=False)


def _words(kind: Alert.Kind, detail: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that hold them; none for an alert that says nothing of its own, which leaves what was said before."""
    english = alert_messages.format_english(kind, facts) or detail
    return {"detail": english[:DETAIL_LENGTH], "facts": facts} if english else {}


def _count_up(key: str, at: datetime, words: dict[str, Any]) -> bool:
    """One statement and no lookup: a flood passes through here."""
    return bool(
        Alert.objects.filter(window_key=key, resolved_at=None).update(count=F("count") + 1, last_at=at, **words)
    )


def _open_again(key: str, at: datetime, words: dict[str, Any]) -> bool:
    """It was over, and is not: whoever had seen it has not seen this."""
    ended = Alert.objects.filter(window_key=key, resolved_at__isnull=False)
    with transaction.atomic():
        opened = ended.update(
            count=F("count") + 1,
            last_at=at,
            reopened_at=at,
            resolved_at=None,
            acknowledged_at=None,
            acknowledged_by=None,
            **words,
        )
        if opened:
            alert_outbox.queue_reopened(Alert.objects.get(window_key=key))
    return bool(opened)


def _take_over(alert: Alert) -> None:
    """End what earlier windows left open of the same cause; if a person put that aside, this stays aside as well."""
    earlier = Alert.objects.filter(kind=alert.kind, cause=alert.cause, resolved_at=None).exclude(pk=alert.pk)
    snoozed = earlier.filter(snoozed_condition(alert.first_at)).order_by("-snoozed_until").first()
    if snoozed is not None:
        alert.snoozed_until, alert.snoozed_by = snoozed.snoozed_until, snoozed.snoozed_by
        alert.save(update_fields=["snoozed_until", "snoozed_by"])
    alert_outbox.drop_superseded(earlier)
    earlier.update(resolved_at=alert.first_at)


def _end(alert_id: int) -> bool:
    with transaction.atomic():
        ended = Alert.objects.filter(pk=alert_id, resolved_at=None).update(resolved_at=clock.now())
        if ended:
            alert_outbox.queue_resolved(alert_id)
    return bool(ended)


# So many are named and marked by one click; the rest come with the next page.
BANNER_LIMIT = 20


@dataclass(frozen=True)
class BannerItem:
    """One alert: what it is called, where it is answered, and where all are."""

    id: int
    title: str
    url: str
    inbox: str


def list_banner_items(request: HttpRequest) -> list[BannerItem]:
    """What this person is to be told, the newest first; nothing for others than operators. One query for an operator.

    Rights are looked at only when there is something to tell.
    """
    user = request.user
    if not user.is_staff:
        return []
    open_ones = Alert.objects.filter(waiting_condition(clock.now()), severity=Alert.Severity.CRITICAL)
    found = list(open_ones.order_by("-last_at").only("kind")[:BANNER_LIMIT])
    if not found or not user.has_perm("billing.change_alert") or not admin.site.has_permission(request):
        return []
    inbox = f"{reverse('admin:billing_alert_changelist')}?state=open&severity__exact=critical"
    return [
        BannerItem(one.pk, one.get_kind_display(), reverse("admin:billing_alert_change", args=[one.pk]), inbox)
        for one in found
    ]

"""The only writer of alert deliveries: which news goes to whom, who carries it, and what becomes of it.

    raised   each WARNING or CRITICAL alert, once for each address; an alert that was over before it could be said says so
    again    a CRITICAL alert that opened again, an hour after its last mail at the earliest and only if it is open then
    over     a CRITICAL alert that was told and ended: whoever was woken may go back to sleep

A delivery is claimed by conditional update for a while; if its worker dies, another carries it on. So two workers never
send one news, and only a death between sending and noting it could repeat it, which is better than silence.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, Value, When

from accounts.seams import clock
from billing.models import Alert, AlertDelivery

log = logging.getLogger(__name__)

Channel = AlertDelivery.Channel
Event = AlertDelivery.Event
State = AlertDelivery.State

SEVERITIES = (Alert.Severity.INFO, Alert.Severity.WARNING, Alert.Severity.CRITICAL)
_BADNESS = Case(*(When(alert__severity=severity, then=Value(rank)) for rank, severity in enumerate(SEVERITIES)))
# A critical alert that goes to and fro is mailed again no sooner than this.
AGAIN_AFTER = timedelta(hours=1)
# Whoever claimed a delivery and has not said by then what became of it is dead.
LEASE = timedelta(minutes=5)
# From one attempt to the next; after the last of them it is given up, about a day later.
BACKOFF_S = (60, 300, 900, 3_600, 10_800, 21_600, 43_200)
ERROR_LENGTH = 300


class Recipient(NamedTuple):
    """Where news goes: a mail address, or the webhook's host."""

    channel: AlertDelivery.Channel
    address: str


def list_recipients() -> list[Recipient]:
    """Everybody who is told, as the settings stand."""
    mails = dict.fromkeys(address.strip() for address in settings.COST_ALERT_EMAIL)
    return [*(Recipient(Channel.EMAIL, address) for address in mails), *webhook_recipients()]


def webhook_recipients() -> list[Recipient]:
    """The webhook, if there is one, by its host alone: the rest of its address may be a secret."""
    return (
        [Recipient(Channel.WEBHOOK, urlsplit(settings.ALERT_WEBHOOK_URL).netloc.rpartition("@")[2])]
        if settings.ALERT_WEBHOOK_URL
        else []
    )


def queue_raised(alert: Alert) -> None:
    """Let it be told, in the caller's transaction, if it is serious enough. A test goes where its command sends it."""
    least = SEVERITIES.index(Alert.Severity(settings.ALERT_FROM_SEVERITY))
    if alert.kind != Alert.Kind.TEST and SEVERITIES.index(Alert.Severity(alert.severity)) >= least:
        _queue(alert.pk, Event.RAISED, list_recipients())


def queue_reopened(alert: Alert) -> None:
    """It opened again: a critical one is told anew when an hour has passed since its last news."""
    told = alert.deliveries.filter(event=Event.RAISED, state=State.SENT)
    if alert.severity != Alert.Severity.CRITICAL:
        return
    at = clock.now()
    for delivery in told.order_by("pk"):
        due_at = max(at, (delivery.sent_at or at) + AGAIN_AFTER)
        told.filter(pk=delivery.pk).update(state=State.DUE, due_at=due_at, attempts=0, error="", round=F("round") + 1)


def queue_resolved(alert_id: int) -> None:
    """It ended: those who were told that a critical one is there learn it; what was only put aside is never told."""
    alert = Alert.objects.select_for_update().get(pk=alert_id)
    raised = alert.deliveries.filter(event=Event.RAISED)
    if alert.snoozed_until is not None and alert.snoozed_until > clock.now():
        raised.filter(state=State.DUE, sent_at=None).delete()
    # That it opened again was not told yet: there is nothing to take back.
    unsaid = raised.filter(state=State.DUE, sent_at__isnull=False)
    unsaid.update(state=State.SENT, round=F("round") - 1)
    if alert.severity == Alert.Severity.CRITICAL:
        for delivery in raised.filter(state=State.SENT):
            _take_back(delivery)


def drop_superseded(alerts: QuerySet[Alert]) -> None:
    """These go on in another entry, which speaks for them: what was not told yet is not told any more."""
    waiting = AlertDelivery.objects.filter(alert__in=alerts, state=State.DUE)
    waiting.filter(sent_at=None).delete()
    waiting.update(state=State.SENT)


def due_deliveries() -> QuerySet[AlertDelivery]:
    """What is to be carried now, the worst and oldest first; nothing of what a person put aside."""
    at = clock.now()
    waiting = AlertDelivery.objects.filter(state=State.DUE, due_at__lte=at)
    put_aside = Q(alert__snoozed_until__gt=at, alert__snoozed_until__isnull=False)
    return waiting.exclude(put_aside).select_related("alert").order_by(_BADNESS.desc(), "due_at", "pk")


def claim_test_deliveries(alert: Alert, wanted: Iterable[Recipient]) -> list[AlertDelivery]:
    """Deliveries that the caller carries at once and no worker touches meanwhile: for a test by hand."""
    with transaction.atomic():
        _queue(alert.pk, Event.RAISED, wanted)
        return [delivery for delivery in alert.deliveries.order_by("pk") if claim_delivery(delivery)]


def claim_delivery(delivery: AlertDelivery) -> bool:
    """Take it on for LEASE; False if another has. The attempt counts from here on."""
    at = clock.now()
    mine = AlertDelivery.objects.filter(
        pk=delivery.pk, state=State.DUE, attempts=delivery.attempts, round=delivery.round, due_at__lte=at
    ).update(attempts=F("attempts") + 1, due_at=at + LEASE)
    if mine:
        delivery.attempts += 1
    return bool(mine)


def postpone_deliveries(deliveries: Iterable[AlertDelivery], *, for_: timedelta) -> None:
    """Not now: too much was sent to this address just before."""
    ids = [delivery.pk for delivery in deliveries]
    AlertDelivery.objects.filter(pk__in=ids, state=State.DUE).update(due_at=clock.now() + for_)


def record_sent(delivery: AlertDelivery, *, at: datetime) -> None:
    """It arrived; news in one mail have one `at`. If a critical alert ended while it was on the way, that is told next."""
    with transaction.atomic():
        alert = Alert.objects.select_for_update().get(pk=delivery.alert_id)
        _mine(delivery).update(state=State.SENT, sent_at=at, error="", round=delivery.round)
        said_open = delivery.event == Event.RAISED and delivery.alert.resolved_at is None
        if said_open and alert.resolved_at is not None and alert.severity == Alert.Severity.CRITICAL:
            _take_back(delivery)


def record_failed(delivery: AlertDelivery, *, error: str, for_good: bool = False) -> None:
    """It did not arrive: try later, or give up, visibly."""
    mine = _mine(delivery).filter(state=State.DUE)
    if for_good or delivery.attempts > len(BACKOFF_S):
        mine.update(state=State.FAILED, error=error[:ERROR_LENGTH])
        log.error("alert %s was not told by %s: %s", delivery.alert_id, delivery.channel, error)
        return
    later = clock.now() + timedelta(seconds=BACKOFF_S[delivery.attempts - 1])
    mine.update(due_at=later, error=error[:ERROR_LENGTH])


def count_recent_mails(address: str, *, within: timedelta) -> int:
    """How many mails an address was sent; one that carried much counts once."""
    lately = AlertDelivery.objects.filter(channel=Channel.EMAIL, address=address, sent_at__gt=clock.now() - within)
    return lately.order_by().values("sent_at").distinct().count()


def recent_kinds(address: str, *, within: timedelta) -> set[str]:
    """Which kinds of alerts an address was sent mails about."""
    lately = AlertDelivery.objects.filter(channel=Channel.EMAIL, address=address, sent_at__gt=clock.now() - within)
    return set(lately.values_list("alert__kind", flat=True))


def _mine(delivery: AlertDelivery) -> QuerySet[AlertDelivery]:
    """The row, as long as nobody else has claimed it since."""
    return AlertDelivery.objects.filter(pk=delivery.pk, attempts=delivery.attempts)


def _queue(alert_id: int, event: AlertDelivery.Event, wanted: Iterable[Recipient]) -> None:
    at = clock.now()
    AlertDelivery.objects.bulk_create(
        [AlertDelivery(alert_id=alert_id, event=event, due_at=at, **place._asdict()) for place in wanted],
        ignore_conflicts=True,
    )


def _take_back(told: AlertDelivery) -> None:
    """Tell where it was told that it is over, each time anew."""
    over, created = AlertDelivery.objects.get_or_create(
        alert_id=told.alert_id,
        channel=told.channel,
        address=told.address,
        event=Event.OVER,
        defaults={"due_at": clock.now(), "round": told.round},
    )
    if not created and over.round < told.round:
        AlertDelivery.objects.filter(pk=over.pk).update(
            state=State.DUE, due_at=clock.now(), attempts=0, error="", round=told.round
        )

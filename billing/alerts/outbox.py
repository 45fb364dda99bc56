"""The only writer of alert deliveries: which notification goes to which address, and whether it was sent.

    raised    for each alert that is severe enough, once for each address; the mail says so if the alert is resolved by
              the time it is sent
    reopened  for a CRITICAL alert, at least an hour after its last mail and only if it is still open then
    resolved  for a CRITICAL alert that was reported

A reopened alert uses the same delivery again. The field `round` counts how often the alert was reported with it: 1 for
the first report, and one more each time that it is reopened.

A worker claims a delivery for the time LEASE by a conditional update; if it dies, another worker claims it later. Two
workers never send the same delivery at once. It is sent twice only if a worker dies between sending and recording, which
is better than not sending it.
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
_SEVERITY_RANK = Case(*(When(alert__severity=severity, then=Value(rank)) for rank, severity in enumerate(SEVERITIES)))
# Minimum time between two mails about a critical alert that keeps reopening.
MIN_REPEAT_INTERVAL = timedelta(hours=1)
# A claim expires after this time, because its worker is considered dead.
LEASE = timedelta(minutes=5)
# Waits between attempts; after the last, about a day later, the delivery has failed.
BACKOFF_S = (60, 300, 900, 3_600, 10_800, 21_600, 43_200)
ERROR_LENGTH = 300


class Recipient(NamedTuple):
    """Where notifications go: an e-mail address, or the webhook's host."""

    channel: AlertDelivery.Channel
    address: str


def list_recipients() -> list[Recipient]:
    """All recipients in the settings."""
    addresses = dict.fromkeys(address.strip() for address in settings.COST_ALERT_EMAIL)
    return [*(Recipient(Channel.EMAIL, address) for address in addresses), *webhook_recipients()]


def webhook_recipients() -> list[Recipient]:
    """The webhook, if one is set; only its host, because the rest of its address may be secret."""
    return (
        [Recipient(Channel.WEBHOOK, urlsplit(settings.ALERT_WEBHOOK_URL).netloc.rpartition("@")[2])]
        if settings.ALERT_WEBHOOK_URL
        else []
    )


def queue_raised(alert: Alert) -> None:
    """Queue the notifications of a new alert, in the caller's transaction, if it is severe enough.

    A test alert is not queued: its command chooses the recipients.
    """
    minimum = SEVERITIES.index(Alert.Severity(settings.ALERT_FROM_SEVERITY))
    if alert.kind != Alert.Kind.TEST and SEVERITIES.index(Alert.Severity(alert.severity)) >= minimum:
        _queue_deliveries(alert.pk, Event.RAISED, list_recipients())


def queue_reopened(alert: Alert) -> None:
    """Notify again about a critical alert that was reopened, an hour after its last mail at the earliest."""
    if alert.severity != Alert.Severity.CRITICAL:
        return
    sent_deliveries = alert.deliveries.filter(event=Event.RAISED, state=State.SENT)
    at = clock.now()
    for delivery in sent_deliveries.order_by("pk"):
        due_at = max(at, (delivery.sent_at or at) + MIN_REPEAT_INTERVAL)
        sent_deliveries.filter(pk=delivery.pk).update(
            state=State.DUE, due_at=due_at, attempts=0, error="", round=F("round") + 1
        )


def queue_resolved(alert_id: int) -> None:
    """Tell everyone who was notified of a critical alert that it is resolved.

    Notifications that were held back because the alert is snoozed are deleted.
    """
    alert = Alert.objects.select_for_update().get(pk=alert_id)
    raised = alert.deliveries.filter(event=Event.RAISED)
    if alert.snoozed_until is not None and alert.snoozed_until > clock.now():
        raised.filter(state=State.DUE, sent_at=None).delete()
    # The mail about the reopening was not sent yet and is no longer needed, so the previous report is the last one again.
    unsent_repeats = raised.filter(state=State.DUE, sent_at__isnull=False)
    unsent_repeats.update(state=State.SENT, round=F("round") - 1)
    if alert.severity == Alert.Severity.CRITICAL:
        for delivery in raised.filter(state=State.SENT):
            _queue_resolved_notice(delivery)


def drop_superseded(alerts: QuerySet[Alert]) -> None:
    """Cancel the pending notifications of alerts that a new alert replaces: the new one is reported instead."""
    pending = AlertDelivery.objects.filter(alert__in=alerts, state=State.DUE)
    pending.filter(sent_at=None).delete()
    # The others were sent before and are pending again because of a reopening.
    pending.update(state=State.SENT)


def due_deliveries() -> QuerySet[AlertDelivery]:
    """Deliveries to send now, the most severe and oldest first, without those of snoozed alerts."""
    at = clock.now()
    due = AlertDelivery.objects.filter(state=State.DUE, due_at__lte=at)
    snoozed = Q(alert__snoozed_until__gt=at, alert__snoozed_until__isnull=False)
    return due.exclude(snoozed).select_related("alert").order_by(_SEVERITY_RANK.desc(), "due_at", "pk")


def claim_test_deliveries(alert: Alert, recipients: Iterable[Recipient]) -> list[AlertDelivery]:
    """Deliveries that the caller sends itself, claimed so that no worker sends them. For a manual test."""
    with transaction.atomic():
        _queue_deliveries(alert.pk, Event.RAISED, recipients)
        return [delivery for delivery in alert.deliveries.order_by("pk") if claim_delivery(delivery)]


def claim_delivery(delivery: AlertDelivery) -> bool:
    """Claim a delivery for LEASE and count the attempt; False if another worker has claimed it."""
    at = clock.now()
    claimed = AlertDelivery.objects.filter(
        pk=delivery.pk, state=State.DUE, attempts=delivery.attempts, round=delivery.round, due_at__lte=at
    ).update(attempts=F("attempts") + 1, due_at=at + LEASE)
    if claimed:
        delivery.attempts += 1
    return bool(claimed)


def postpone_deliveries(deliveries: Iterable[AlertDelivery], *, delay: timedelta) -> None:
    """Send these later: their address received too many mails recently."""
    ids = [delivery.pk for delivery in deliveries]
    AlertDelivery.objects.filter(pk__in=ids, state=State.DUE).update(due_at=clock.now() + delay)


def record_sent(delivery: AlertDelivery, *, at: datetime) -> None:
    """Mark a delivery as sent; deliveries in one mail share `at`.

    If a critical alert was resolved while its mail was being sent, the mail about that is queued.
    """
    with transaction.atomic():
        alert = Alert.objects.select_for_update().get(pk=delivery.alert_id)
        _claimed_row(delivery).update(state=State.SENT, sent_at=at, error="", round=delivery.round)
        was_reported_as_open = delivery.event == Event.RAISED and delivery.alert.resolved_at is None
        if was_reported_as_open and alert.resolved_at is not None and alert.severity == Alert.Severity.CRITICAL:
            _queue_resolved_notice(delivery)


def record_failed(delivery: AlertDelivery, *, error: str, is_permanent: bool = False) -> None:
    """Schedule the next attempt, or mark the delivery as failed if the error is permanent or no attempt is left."""
    row = _claimed_row(delivery).filter(state=State.DUE)
    if is_permanent or delivery.attempts > len(BACKOFF_S):
        row.update(state=State.FAILED, error=error[:ERROR_LENGTH])
        log.error("alert %s could not be delivered by %s: %s", delivery.alert_id, delivery.channel, error)
        return
    next_at = clock.now() + timedelta(seconds=BACKOFF_S[delivery.attempts - 1])
    row.update(due_at=next_at, error=error[:ERROR_LENGTH])


def count_recent_mails(address: str, *, within: timedelta) -> int:
    """Count the mails sent to this address within that time; a mail about several alerts counts once."""
    return _recent_mails(address, within).order_by().values("sent_at").distinct().count()


def recent_kinds(address: str, *, within: timedelta) -> set[str]:
    """The kinds of alerts that the mails to this address within that time were about."""
    return set(_recent_mails(address, within).values_list("alert__kind", flat=True))


def _recent_mails(address: str, within: timedelta) -> QuerySet[AlertDelivery]:
    return AlertDelivery.objects.filter(channel=Channel.EMAIL, address=address, sent_at__gt=clock.now() - within)


def _claimed_row(delivery: AlertDelivery) -> QuerySet[AlertDelivery]:
    """The row, unless another worker has claimed it since."""
    return AlertDelivery.objects.filter(pk=delivery.pk, attempts=delivery.attempts)


def _queue_deliveries(alert_id: int, event: AlertDelivery.Event, recipients: Iterable[Recipient]) -> None:
    at = clock.now()
    AlertDelivery.objects.bulk_create(
        [AlertDelivery(alert_id=alert_id, event=event, due_at=at, **recipient._asdict()) for recipient in recipients],
        ignore_conflicts=True,
    )


def _queue_resolved_notice(raised: AlertDelivery) -> None:
    """Queue the mail saying that the alert is resolved, once for each time that the alert was reported."""
    notice, created = AlertDelivery.objects.get_or_create(
        alert_id=raised.alert_id,
        channel=raised.channel,
        address=raised.address,
        event=Event.RESOLVED,
        defaults={"due_at": clock.now(), "round": raised.round},
    )
    if not created and notice.round < raised.round:
        AlertDelivery.objects.filter(pk=notice.pk).update(
            state=State.DUE, due_at=clock.now(), attempts=0, error="", round=raised.round
        )

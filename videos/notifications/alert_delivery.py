"""Sends alerts to mail addresses and to the webhook.

A delivery (`AlertDelivery`) is one notification about an alert to one address. `billing.alerts.outbox` keeps the rows;
a worker claims a delivery there before it sends it, so that no other worker sends it too.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.utils import translation

from accounts.mail import sending as mail
from accounts.models import User
from accounts.seams import clock
from billing.alerts import outbox as alert_outbox
from billing.alerts.messages import format_message
from billing.alerts.runbook import action_path, alert_path, describe_subject, runbook_entry
from billing.models import Alert, AlertDelivery
from videos.providers import standard_webhooks
from videos.providers.http import exchange

log = logging.getLogger(__name__)

Channel = AlertDelivery.Channel
Event = AlertDelivery.Event

MAX_PER_JOB = 1000
# The worker kills longer jobs, so slow servers may use only this much time.
TIME_LIMIT = timedelta(seconds=90)
# Within GROUPING_WINDOW an address gets at most this many single mails; further alerts are combined into one mail.
MAX_SINGLE_MAILS = 5
GROUPING_WINDOW = timedelta(minutes=10)
LIMITS = exchange.Limits(connect_s=5, read_s=10, total_s=15, body_bytes=4096)
HTTP_GONE = 410


def deliver_due() -> int:
    """Send the due deliveries, stopping after about TIME_LIMIT; returns how many were accepted. The others stay due.

    Deliveries are claimed just before they are sent, so that two workers can share them.
    """
    deadline = clock.now() + TIME_LIMIT
    by_address: dict[str, list[AlertDelivery]] = defaultdict(list)
    webhook_deliveries: list[AlertDelivery] = []
    for delivery in alert_outbox.due_deliveries()[:MAX_PER_JOB]:
        (by_address[delivery.address] if delivery.channel == Channel.EMAIL else webhook_deliveries).append(delivery)
    arrived = sum(_mail_address(address, deliveries, deadline) for address, deliveries in by_address.items())
    for delivery in webhook_deliveries:
        if clock.now() < deadline and alert_outbox.claim_delivery(delivery):
            arrived += post_webhook(delivery) == ""
    return arrived


def mail_alert(delivery: AlertDelivery) -> str:
    """Mail one claimed delivery and record the result; returns "" if the server accepted it, otherwise the error."""
    template = "alert_resolved" if delivery.event == Event.RESOLVED else "alert"
    return _mail_deliveries([delivery], template, {"item": build_item(delivery)})


def post_webhook(delivery: AlertDelivery) -> str:
    """Post one claimed delivery to the webhook; returns "" if it was accepted (2xx), otherwise the error."""
    if not settings.ALERT_WEBHOOK_URL:
        return _record_failure([delivery], "ALERT_WEBHOOK_URL is not set any more", is_permanent=True)
    body = json.dumps(build_payload(delivery), separators=(",", ":")).encode()
    try:
        headers = standard_webhooks.signature_headers(
            body,
            # Each attempt has the same ID, so that a receiver can recognise duplicates; when the alert
            # is reopened, `round` grows and the ID is a new one.
            message_id=f"alert_{delivery.alert_id}_{delivery.event}_{delivery.round}",
            timestamp=int(clock.now().timestamp()),
            secret=settings.ALERT_WEBHOOK_SECRET,
        )
        response = exchange.post_bytes(
            settings.ALERT_WEBHOOK_URL,
            body=body,
            headers={**headers, "Content-Type": "application/json"},
            limits=LIMITS,
        )
    except (exchange.ExchangeError, ValueError) as problem:
        return _record_failure([delivery], str(problem))
    if 200 <= response.status < 300:
        alert_outbox.record_sent(delivery, at=clock.now())
        return ""
    is_gone = response.status == HTTP_GONE
    error = "it answered 410: it wants no more alerts" if is_gone else f"it answered {response.status}"
    return _record_failure([delivery], error, is_permanent=is_gone)


def build_payload(delivery: AlertDelivery) -> dict[str, Any]:
    """The webhook's JSON body. The names are a documented contract; times are ISO 8601 in UTC, texts are English."""
    alert = delivery.alert
    kind = "alert.test" if alert.kind == Alert.Kind.TEST else f"alert.{_EVENT_NAMES[Event(delivery.event)]}"
    entry = runbook_entry(alert)
    with translation.override("en"):
        return {
            "type": kind,
            "timestamp": clock.now().isoformat(),
            "data": {
                "id": alert.pk,
                "kind": alert.kind,
                "severity": alert.severity,
                "title": alert.get_kind_display(),
                "meaning": str(entry.meaning),
                "done_by_itself": str(entry.automatic_action),  # what the system does about it without an operator
                "to_do": str(entry.operator_action),  # what an operator should do
                "cause": alert.cause,
                "detail": alert.detail,
                "facts": alert.facts,
                "reference": alert.reference,
                "count": alert.count,
                "first_at": alert.first_at.isoformat(),
                "last_at": alert.last_at.isoformat(),
                "reopened_at": alert.reopened_at.isoformat() if alert.reopened_at else None,
                "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
                "url": f"{settings.APP_URL}{alert_path(alert)}",
            },
        }


_EVENT_NAMES = {Event.RAISED: "raised", Event.RESOLVED: "resolved"}


def build_item(delivery: AlertDelivery) -> dict[str, Any]:
    """The template variables for one alert; its texts are rendered later, in the recipient's language and time zone."""
    alert = delivery.alert
    return {
        "alert": alert,
        "message": partial(format_message, alert),
        "entry": runbook_entry(alert),
        "subject": partial(describe_subject, alert),
        "is_resolved": delivery.event == Event.RESOLVED,
        "is_repeated": delivery.round > 1,  # `round` is 1 for the first report, and grows when the alert is reopened
        "action_url": f"{settings.APP_URL}{action_path(alert)}",
        "alert_url": f"{settings.APP_URL}{alert_path(alert)}",
        "is_test_copy": alert.kind == Alert.Kind.TEST and delivery.address not in settings.COST_ALERT_EMAIL,
    }


def mail_operator(address: str, template: str, values: dict[str, Any]) -> None:
    """Mail an operator. Raises OSError if the mail server refuses the mail or cannot be reached.

    The mail uses the language and time zone of the user with this address; if there is none, those of the site.
    """
    user = User.objects.filter(email=address.lower(), is_active=True).first()
    language = (user.language if user else "") or settings.LANGUAGE_CODE
    mail.send(user or address, template, values, language=language, address=address)


def describe_smtp_error(problem: OSError) -> str:
    """The kind and code of a mail error; the server's own text may hold secrets and is left out."""
    name, code = type(problem).__name__, getattr(problem, "smtp_code", None)
    if isinstance(problem, SMTPException):
        return f"the mail server refused it ({name}{f' {code}' if code else ''})"
    return f"the mail server cannot be reached ({name})"


def _mail_address(address: str, deliveries: Sequence[AlertDelivery], deadline: datetime) -> int:
    """Send the due alerts to one address, as single mails or as one combined mail; returns how many were accepted.

    If the address has received MAX_SINGLE_MAILS recently, only urgent alerts are sent now and the others are postponed.
    """
    remaining = MAX_SINGLE_MAILS - alert_outbox.count_recent_mails(address, within=GROUPING_WINDOW)
    if remaining <= 0:
        urgent = _select_urgent(address, deliveries)
        alert_outbox.postpone_deliveries(
            (delivery for delivery in deliveries if delivery not in urgent), delay=GROUPING_WINDOW / 2
        )
        deliveries, remaining = urgent, 1
    if len(deliveries) > remaining:
        claimed = [delivery for delivery in deliveries if alert_outbox.claim_delivery(delivery)]
        items = [build_item(delivery) for delivery in claimed]
        return len(claimed) if claimed and not _mail_deliveries(claimed, "alerts", {"items": items}) else 0
    arrived = 0
    for delivery in deliveries:
        if clock.now() < deadline and alert_outbox.claim_delivery(delivery):
            arrived += mail_alert(delivery) == ""
    return arrived


def _select_urgent(address: str, deliveries: Sequence[AlertDelivery]) -> list[AlertDelivery]:
    """Critical alerts of kinds that were not mailed to this address recently."""
    recent_kinds = alert_outbox.recent_kinds(address, within=GROUPING_WINDOW)
    return [
        delivery
        for delivery in deliveries
        if delivery.event == Event.RAISED
        and delivery.alert.severity == Alert.Severity.CRITICAL
        and delivery.alert.kind not in recent_kinds
    ]


def _mail_deliveries(deliveries: Sequence[AlertDelivery], template: str, values: dict[str, Any]) -> str:
    try:
        mail_operator(deliveries[0].address, template, values)
    except OSError as problem:
        return _record_failure(deliveries, describe_smtp_error(problem))
    at = clock.now()
    for delivery in deliveries:
        alert_outbox.record_sent(delivery, at=at)
    return ""


def _record_failure(deliveries: Sequence[AlertDelivery], error: str, *, is_permanent: bool = False) -> str:
    for delivery in deliveries:
        alert_outbox.record_failed(delivery, error=error, is_permanent=is_permanent)
    log.warning("%d alerts not delivered by %s: %s", len(deliveries), deliveries[0].channel, error)
    return error

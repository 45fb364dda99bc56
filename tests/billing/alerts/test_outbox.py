"""Which notifications are queued for an alert, how often, and how they are sent."""

import logging
from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.alerts import outbox as alert_outbox
from billing.alerts import services as alerts
from billing.alerts.outbox import BACKOFF_S, LEASE, Channel, Event, Recipient, State
from billing.models import Alert, AlertDelivery
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db
Kind = Alert.Kind
OLGA = "olga@example.com"
HOUR_S = 3600


@pytest.fixture(autouse=True)
def _recipients(settings: Settings) -> None:
    settings.COST_ALERT_EMAIL = [OLGA]
    settings.ALERT_WEBHOOK_URL = ""


def list_deliveries() -> list[tuple[str, str, int]]:
    """Event, state and round of each delivery."""
    return list(AlertDelivery.objects.order_by("pk").values_list("event", "state", "round"))


def send_due(manual_clock: ManualClock) -> list[str]:
    """Send everything that is due; returns the events."""
    claimed = [delivery for delivery in alert_outbox.due_deliveries() if alert_outbox.claim_delivery(delivery)]
    for delivery in claimed:
        alert_outbox.record_sent(delivery, at=manual_clock.at)
    return [delivery.event for delivery in claimed]


def get_due_delivery() -> AlertDelivery:
    [delivery] = alert_outbox.due_deliveries()
    return delivery


def test_a_severe_alert_is_queued_once_for_each_address_and_the_webhook(
    manual_clock: ManualClock, settings: Settings
) -> None:
    settings.COST_ALERT_EMAIL = [OLGA, "otto@example.com", OLGA]
    settings.ALERT_WEBHOOK_URL = "https://me:secret@hooks.example.com/services/a-secret"
    for _ in range(3):
        alerts.raise_alert(Kind.STORAGE)
    assert list(AlertDelivery.objects.order_by("pk").values_list("channel", "address", "state")) == [
        ("email", OLGA, "due"),
        ("email", "otto@example.com", "due"),
        ("webhook", "hooks.example.com", "due"),
    ]
    assert str(AlertDelivery.objects.first()) == "webhook due"


@pytest.mark.parametrize(("minimum", "queued"), [("info", 3), ("warning", 2), ("critical", 1)])
def test_alerts_below_the_configured_severity_are_not_queued(
    manual_clock: ManualClock, settings: Settings, minimum: str, queued: int
) -> None:
    settings.ALERT_FROM_SEVERITY = minimum
    for kind in (Kind.DELAYED, Kind.WORKER, Kind.STORAGE, Kind.TEST):
        alerts.raise_alert(kind)
    assert AlertDelivery.objects.count() == queued


def test_the_most_severe_is_sent_first(manual_clock: ManualClock, settings: Settings) -> None:
    settings.ALERT_FROM_SEVERITY = "info"
    for kind in (Kind.DELAYED, Kind.WORKER, Kind.STORAGE):
        alerts.raise_alert(kind)
    assert [delivery.alert.severity for delivery in alert_outbox.due_deliveries()] == ["critical", "warning", "info"]


def test_a_claimed_delivery_can_be_claimed_again_when_its_worker_dies(manual_clock: ManualClock) -> None:
    alerts.raise_alert(Kind.STORAGE)
    first, second = get_due_delivery(), get_due_delivery()
    assert alert_outbox.claim_delivery(first)
    assert not alert_outbox.claim_delivery(second)
    assert not alert_outbox.due_deliveries()
    manual_clock.sleep(LEASE.total_seconds())
    assert alert_outbox.claim_delivery(get_due_delivery())
    # The first worker continues after its claim has expired: its result is ignored.
    alert_outbox.record_failed(first, error="late")
    assert AlertDelivery.objects.get().error == ""


def test_a_failing_delivery_is_retried_for_a_day_and_then_failed(
    manual_clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    alerts.raise_alert(Kind.STORAGE)
    started_at, waits = manual_clock.at, [0, *BACKOFF_S]
    for wait_s in waits:
        assert not alert_outbox.due_deliveries().filter(due_at__gt=manual_clock.at)
        manual_clock.sleep(wait_s)
        delivery = get_due_delivery()
        assert alert_outbox.claim_delivery(delivery)
        alert_outbox.record_failed(delivery, error="the mail server cannot be reached" + "!" * 400)
    assert timedelta(hours=20) < manual_clock.at - started_at < timedelta(hours=28)
    row = AlertDelivery.objects.get()
    assert (row.state, row.attempts, len(row.error)) == (State.FAILED, len(waits), 300)
    assert "could not be delivered by email" in caplog.text
    manual_clock.sleep(10 * HOUR_S)
    assert not alert_outbox.due_deliveries()


def test_a_permanent_failure_is_not_retried(manual_clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    alerts.raise_alert(Kind.STORAGE)
    delivery = get_due_delivery()
    assert alert_outbox.claim_delivery(delivery)
    alert_outbox.record_failed(delivery, error="410 Gone", is_permanent=True)
    assert list_deliveries() == [("raised", "failed", 1)]


def test_everyone_notified_of_a_critical_alert_is_notified_that_it_is_resolved(manual_clock: ManualClock) -> None:
    alerts.raise_alert(Kind.STORAGE)
    assert send_due(manual_clock) == ["raised"]
    alerts.resolve_alerts(Kind.STORAGE)
    assert send_due(manual_clock) == ["over"]
    assert list_deliveries() == [("raised", "sent", 1), ("over", "sent", 1)]


def test_a_resolved_warning_sends_nothing(manual_clock: ManualClock) -> None:
    alerts.raise_alert(Kind.WORKER)
    assert send_due(manual_clock) == ["raised"]
    alerts.resolve_alerts(Kind.WORKER)
    alerts.raise_alert(Kind.WORKER)
    manual_clock.sleep(2 * HOUR_S)
    assert send_due(manual_clock) == []


def test_an_alert_resolved_before_its_mail_is_sent_causes_one_mail(manual_clock: ManualClock) -> None:
    alerts.raise_alert(Kind.STORAGE)
    alerts.resolve_alerts(Kind.STORAGE)
    assert send_due(manual_clock) == ["raised"]
    assert send_due(manual_clock) == []


def test_an_alert_resolved_during_the_sending_is_reported_as_resolved(manual_clock: ManualClock) -> None:
    alerts.raise_alert(Kind.STORAGE)
    delivery = get_due_delivery()
    assert alert_outbox.claim_delivery(delivery)
    alerts.resolve_alerts(Kind.STORAGE)
    alert_outbox.record_sent(delivery, at=manual_clock.at)
    assert send_due(manual_clock) == ["over"]


def test_a_reopened_critical_alert_is_sent_again_after_an_hour_if_still_open(manual_clock: ManualClock) -> None:
    alerts.raise_alert(Kind.STORAGE)
    assert send_due(manual_clock) == ["raised"]
    alerts.resolve_alerts(Kind.STORAGE)
    assert send_due(manual_clock) == ["over"]
    manual_clock.sleep(600)
    alerts.raise_alert(Kind.STORAGE)
    assert send_due(manual_clock) == []
    manual_clock.sleep(HOUR_S - 600)
    assert send_due(manual_clock) == ["raised"]
    alerts.resolve_alerts(Kind.STORAGE)
    assert send_due(manual_clock) == ["over"]
    assert list_deliveries() == [("raised", "sent", 2), ("over", "sent", 2)]
    # More than an hour after the last mail it is sent immediately.
    manual_clock.sleep(3 * HOUR_S)
    alerts.raise_alert(Kind.STORAGE)
    assert send_due(manual_clock) == ["raised"]


def test_a_critical_alert_that_keeps_reopening_causes_two_mails(manual_clock: ManualClock) -> None:
    events = []
    for _ in range(50):
        alerts.raise_alert(Kind.STORAGE)
        events += send_due(manual_clock)
        alerts.resolve_alerts(Kind.STORAGE)
        events += send_due(manual_clock)
        manual_clock.sleep(60)
    assert events == ["raised", "over"]
    assert list_deliveries() == [("raised", "sent", 1), ("over", "sent", 1)]


def test_a_snoozed_alert_is_sent_when_it_reappears(manual_clock: ManualClock, olga: User) -> None:
    alert = alerts.raise_alert(Kind.STORAGE)
    alerts.snooze(alert_id=alert.pk, actor=olga, until=manual_clock.at + timedelta(hours=1))
    assert send_due(manual_clock) == []
    manual_clock.sleep(HOUR_S)
    assert send_due(manual_clock) == ["raised"]


def test_an_alert_resolved_while_snoozed_is_never_sent(manual_clock: ManualClock, olga: User) -> None:
    alert = alerts.raise_alert(Kind.STORAGE)
    alerts.snooze(alert_id=alert.pk, actor=olga, until=manual_clock.at + timedelta(hours=1))
    alerts.resolve_alerts(Kind.STORAGE)
    manual_clock.sleep(2 * HOUR_S)
    assert send_due(manual_clock) == []


def test_in_the_next_window_the_new_alert_is_sent_instead_of_the_old_one(manual_clock: ManualClock) -> None:
    alerts.raise_alert(Kind.STORAGE)
    manual_clock.sleep(24 * HOUR_S)
    alerts.raise_alert(Kind.STORAGE)
    assert send_due(manual_clock) == ["raised"]
    manual_clock.sleep(24 * HOUR_S)
    alerts.raise_alert(Kind.STORAGE)
    assert send_due(manual_clock) == ["raised"]
    alerts.resolve_alerts(Kind.STORAGE)
    assert send_due(manual_clock) == ["over"]


def test_too_many_deliveries_to_one_address_are_postponed(manual_clock: ManualClock) -> None:
    alerts.raise_alert(Kind.STORAGE)
    assert send_due(manual_clock) == ["raised"]
    assert alert_outbox.count_recent_mails(OLGA, within=timedelta(minutes=10)) == 1
    assert alert_outbox.recent_kinds(OLGA, within=timedelta(minutes=10)) == {"storage"}
    alerts.raise_alert(Kind.WORKER)
    alert_outbox.postpone_deliveries(alert_outbox.due_deliveries(), delay=timedelta(minutes=5))
    assert send_due(manual_clock) == []
    manual_clock.sleep(600)
    assert alert_outbox.count_recent_mails(OLGA, within=timedelta(minutes=10)) == 0
    assert alert_outbox.recent_kinds(OLGA, within=timedelta(minutes=10)) == set()
    assert send_due(manual_clock) == ["raised"]


def test_the_delivery_of_a_test_alert_is_claimed_by_its_sender_and_by_no_worker(manual_clock: ManualClock) -> None:
    alert = alerts.raise_alert(Kind.TEST)
    [delivery] = alert_outbox.claim_test_deliveries(alert, [Recipient(Channel.EMAIL, "otto@example.com")])
    assert (delivery.address, delivery.event) == ("otto@example.com", Event.RAISED)
    assert not alert_outbox.due_deliveries()

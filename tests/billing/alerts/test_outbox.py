"""Who is told of an alert, how often, and by whom."""

import logging
from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.alerts import outbox as alert_outbox
from billing.alerts import services as alerts
from billing.alerts.outbox import BACKOFF_S, LEASE, Channel, Event, Recipient, State
from billing.models import Alert, AlertDelivery
from tests.billing.conftest import SetClock

pytestmark = pytest.mark.django_db
Kind = Alert.Kind
OLGA = "olga@example.com"
HOUR_S = 3600


@pytest.fixture(autouse=True)
def _told(settings: Settings) -> None:
    settings.COST_ALERT_EMAIL = [OLGA]
    settings.ALERT_WEBHOOK_URL = ""


def rows() -> list[tuple[str, str, int]]:
    """Each delivery's news, state and time."""
    return list(AlertDelivery.objects.order_by("pk").values_list("event", "state", "round"))


def carry(still: SetClock) -> list[str]:
    """Carry everything that is due, well; what it was."""
    carried = [delivery for delivery in alert_outbox.due_deliveries() if alert_outbox.claim_delivery(delivery)]
    for delivery in carried:
        alert_outbox.record_sent(delivery, at=still.at)
    return [delivery.event for delivery in carried]


def one_due() -> AlertDelivery:
    [delivery] = alert_outbox.due_deliveries()
    return delivery


def test_each_address_and_the_webhook_are_told_once_of_what_is_serious(still: SetClock, settings: Settings) -> None:
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


@pytest.mark.parametrize(("least", "told"), [("info", 3), ("warning", 2), ("critical", 1)])
def test_from_which_severity_on_is_a_setting(still: SetClock, settings: Settings, least: str, told: int) -> None:
    settings.ALERT_FROM_SEVERITY = least
    for kind in (Kind.DELAYED, Kind.WORKER, Kind.STORAGE, Kind.TEST):
        alerts.raise_alert(kind)
    assert AlertDelivery.objects.count() == told


def test_the_worst_is_carried_first(still: SetClock, settings: Settings) -> None:
    settings.ALERT_FROM_SEVERITY = "info"
    for kind in (Kind.DELAYED, Kind.WORKER, Kind.STORAGE):
        alerts.raise_alert(kind)
    assert [delivery.alert.severity for delivery in alert_outbox.due_deliveries()] == ["critical", "warning", "info"]


def test_what_one_claimed_no_other_does_unless_it_dies(still: SetClock) -> None:
    alerts.raise_alert(Kind.STORAGE)
    mine, others = one_due(), one_due()
    assert alert_outbox.claim_delivery(mine)
    assert not alert_outbox.claim_delivery(others)
    assert not alert_outbox.due_deliveries()
    still.sleep(LEASE.total_seconds())
    assert alert_outbox.claim_delivery(one_due())
    # The dead one wakes up: what it says of its attempt no longer counts.
    alert_outbox.record_failed(mine, error="late")
    assert AlertDelivery.objects.get().error == ""


def test_what_does_not_arrive_is_tried_for_a_day_and_then_given_up_visibly(
    still: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    alerts.raise_alert(Kind.STORAGE)
    began, waits = still.at, [0, *BACKOFF_S]
    for wait_s in waits:
        assert not alert_outbox.due_deliveries().filter(due_at__gt=still.at)
        still.sleep(wait_s)
        delivery = one_due()
        assert alert_outbox.claim_delivery(delivery)
        alert_outbox.record_failed(delivery, error="the mail server cannot be reached" + "!" * 400)
    assert timedelta(hours=20) < still.at - began < timedelta(hours=28)
    row = AlertDelivery.objects.get()
    assert (row.state, row.attempts, len(row.error)) == (State.FAILED, len(waits), 300)
    assert "was not told by email" in caplog.text
    still.sleep(10 * HOUR_S)
    assert not alert_outbox.due_deliveries()


def test_what_is_refused_for_good_is_not_tried_again(still: SetClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    alerts.raise_alert(Kind.STORAGE)
    delivery = one_due()
    assert alert_outbox.claim_delivery(delivery)
    alert_outbox.record_failed(delivery, error="gone", for_good=True)
    assert rows() == [("raised", "failed", 1)]


def test_a_critical_alert_that_is_over_is_told_to_be_where_it_was_told(still: SetClock) -> None:
    alerts.raise_alert(Kind.STORAGE)
    assert carry(still) == ["raised"]
    alerts.resolve_alerts(Kind.STORAGE)
    assert carry(still) == ["over"]
    assert rows() == [("raised", "sent", 1), ("over", "sent", 1)]


def test_a_warning_that_is_over_wakes_nobody(still: SetClock) -> None:
    alerts.raise_alert(Kind.WORKER)
    assert carry(still) == ["raised"]
    alerts.resolve_alerts(Kind.WORKER)
    alerts.raise_alert(Kind.WORKER)
    still.sleep(2 * HOUR_S)
    assert carry(still) == []


def test_what_was_over_before_it_could_be_told_is_told_once(still: SetClock) -> None:
    alerts.raise_alert(Kind.STORAGE)
    alerts.resolve_alerts(Kind.STORAGE)
    assert carry(still) == ["raised"]
    assert carry(still) == []


def test_what_ends_while_its_mail_is_on_the_way_is_told_to_be_over(still: SetClock) -> None:
    alerts.raise_alert(Kind.STORAGE)
    delivery = one_due()
    assert alert_outbox.claim_delivery(delivery)
    alerts.resolve_alerts(Kind.STORAGE)
    alert_outbox.record_sent(delivery, at=still.at)
    assert carry(still) == ["over"]


def test_a_critical_alert_that_comes_back_is_told_again_after_an_hour_if_it_stays(still: SetClock) -> None:
    alerts.raise_alert(Kind.STORAGE)
    assert carry(still) == ["raised"]
    alerts.resolve_alerts(Kind.STORAGE)
    assert carry(still) == ["over"]
    still.sleep(600)
    alerts.raise_alert(Kind.STORAGE)
    assert carry(still) == []
    still.sleep(HOUR_S - 600)
    assert carry(still) == ["raised"]
    alerts.resolve_alerts(Kind.STORAGE)
    assert carry(still) == ["over"]
    assert rows() == [("raised", "sent", 2), ("over", "sent", 2)]
    # After a long quiet it is told at once.
    still.sleep(3 * HOUR_S)
    alerts.raise_alert(Kind.STORAGE)
    assert carry(still) == ["raised"]


def test_a_critical_alert_that_goes_to_and_fro_is_two_mails_not_a_flood(still: SetClock) -> None:
    told = []
    for _ in range(50):
        alerts.raise_alert(Kind.STORAGE)
        told += carry(still)
        alerts.resolve_alerts(Kind.STORAGE)
        told += carry(still)
        still.sleep(60)
    assert told == ["raised", "over"]
    assert rows() == [("raised", "sent", 1), ("over", "sent", 1)]


def test_what_is_put_aside_is_told_when_it_comes_back(still: SetClock, olga: User) -> None:
    alert = alerts.raise_alert(Kind.STORAGE)
    alerts.snooze(alert_id=alert.pk, actor=olga, until=still.at + timedelta(hours=1))
    assert carry(still) == []
    still.sleep(HOUR_S)
    assert carry(still) == ["raised"]


def test_what_ends_while_it_is_put_aside_is_never_told(still: SetClock, olga: User) -> None:
    alert = alerts.raise_alert(Kind.STORAGE)
    alerts.snooze(alert_id=alert.pk, actor=olga, until=still.at + timedelta(hours=1))
    alerts.resolve_alerts(Kind.STORAGE)
    still.sleep(2 * HOUR_S)
    assert carry(still) == []


def test_in_the_next_window_the_new_entry_speaks_for_the_old(still: SetClock) -> None:
    alerts.raise_alert(Kind.STORAGE)
    still.sleep(24 * HOUR_S)
    alerts.raise_alert(Kind.STORAGE)
    assert carry(still) == ["raised"]
    still.sleep(24 * HOUR_S)
    alerts.raise_alert(Kind.STORAGE)
    assert carry(still) == ["raised"]
    alerts.resolve_alerts(Kind.STORAGE)
    assert carry(still) == ["over"]


def test_too_much_at_once_for_one_address_is_held(still: SetClock) -> None:
    alerts.raise_alert(Kind.STORAGE)
    assert carry(still) == ["raised"]
    assert alert_outbox.count_recent_mails(OLGA, within=timedelta(minutes=10)) == 1
    assert alert_outbox.recent_kinds(OLGA, within=timedelta(minutes=10)) == {"storage"}
    alerts.raise_alert(Kind.WORKER)
    alert_outbox.postpone_deliveries(alert_outbox.due_deliveries(), for_=timedelta(minutes=5))
    assert carry(still) == []
    still.sleep(600)
    assert alert_outbox.count_recent_mails(OLGA, within=timedelta(minutes=10)) == 0
    assert alert_outbox.recent_kinds(OLGA, within=timedelta(minutes=10)) == set()
    assert carry(still) == ["raised"]


def test_a_test_goes_where_it_is_sent_and_no_worker_takes_it(still: SetClock) -> None:
    alert = alerts.raise_alert(Kind.TEST)
    [delivery] = alert_outbox.claim_test_deliveries(alert, [Recipient(Channel.EMAIL, "otto@example.com")])
    assert (delivery.address, delivery.event) == ("otto@example.com", Event.RAISED)
    assert not alert_outbox.due_deliveries()

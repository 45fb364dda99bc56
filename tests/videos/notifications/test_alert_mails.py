"""Alerts over a real mail server."""

import re
from typing import Any

import pytest
from django.utils.module_loading import import_string
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.alerts import services as alerts
from billing.alerts.runbook import RUNBOOK
from billing.models import Alert, AlertDelivery
from tests.accounts import steps
from tests.clocks import ManualClock
from tests.mail import Mailbox, free_port
from tests.videos.notifications.delivery import OLGA, Kind, read_subjects
from videos import job_queue
from videos.notifications import alert_delivery
from videos.worker import sweep

pytestmark = pytest.mark.django_db


def test_an_alert_mail_has_a_text_and_an_html_part_with_one_button(mail_server: Mailbox, settings: Settings) -> None:
    settings.APP_URL = "https://veo.example"
    alert = alerts.raise_alert(Kind.CRITICAL_BALANCE, detail="balance 480")
    assert "alerts" in sweep.enqueue_due()
    assert alert_delivery.deliver_due() == 1
    [message] = mail_server.messages
    assert message["To"] == OLGA
    assert read_subjects(mail_server) == ["Critical · Provider balance is critical: new videos wait"]
    text, page = steps.get_text(message), steps.get_html(message)
    entry = RUNBOOK[Kind.CRITICAL_BALANCE]
    for sentence in (entry.meaning, entry.automatic_action, entry.operator_action, "balance 480"):
        assert str(sentence) in text
        assert str(sentence) in page
    assert f"https://veo.example/admin/billing/alert/{alert.pk}/change/" in text
    assert page.count('class="button"') == 1
    assert "https://veo.example/admin/billing/provideraccount/" in page
    assert AlertDelivery.objects.get().state == "sent"
    assert alert_delivery.deliver_due() == 0


def test_repeated_alerts_of_one_cause_are_one_mail(mail_server: Mailbox) -> None:
    for _ in range(200):
        alerts.raise_alert(Kind.STORAGE, cause="media")
    Alert.objects.update(count=10_000)
    alert_delivery.deliver_due()
    for _ in range(200):
        alerts.raise_alert(Kind.STORAGE, cause="media")
    alert_delivery.deliver_due()
    [message] = mail_server.messages
    assert "10,000 times" in steps.get_text(message)


def test_a_mail_uses_the_readers_language_and_time_zone(
    mail_server: Mailbox, manual_clock: ManualClock, olga: User
) -> None:
    olga.language, olga.time_zone = "zh-hans", "Asia/Shanghai"
    olga.save()
    alerts.raise_alert(Kind.STORAGE)
    alert_delivery.deliver_due()
    page = steps.get_html(mail_server.messages[0])
    assert '<html lang="zh-hans">' in page
    assert "20:00" in page


def test_an_address_without_an_account_gets_the_sites_language(mail_server: Mailbox, settings: Settings) -> None:
    settings.LANGUAGE_CODE, settings.COST_ALERT_EMAIL = "zh-hans", ["pager@example.com"]
    alerts.raise_alert(Kind.STORAGE)
    alert_delivery.deliver_due()
    assert '<html lang="zh-hans">' in steps.get_html(mail_server.messages[0])


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind != Kind.TEST])
def test_every_kind_can_be_mailed(mail_server: Mailbox, settings: Settings, kind: Alert.Kind) -> None:
    settings.ALERT_FROM_SEVERITY = "info"
    alerts.raise_alert(kind, cause="x", detail="<b>& 'odd'\nwords")
    alert_delivery.deliver_due()
    [message] = mail_server.messages
    assert "<b>& 'odd'" in steps.get_text(message)
    assert "&lt;b&gt;&amp;" in steps.get_html(message)
    assert "%(" not in steps.get_text(message)


def test_the_resolution_and_the_reopening_of_an_alert_are_mailed(
    mail_server: Mailbox, manual_clock: ManualClock
) -> None:
    alerts.raise_alert(Kind.STORAGE)
    alert_delivery.deliver_due()
    manual_clock.sleep(120)
    alerts.resolve_alerts(Kind.STORAGE)
    alert_delivery.deliver_due()
    manual_clock.sleep(7200)
    alerts.raise_alert(Kind.STORAGE)
    alert_delivery.deliver_due()
    assert read_subjects(mail_server) == [
        "Critical · Media storage has trouble",
        "Resolved · Media storage has trouble",
        "Critical, again · Media storage has trouble",
    ]
    assert "No action is needed." in steps.get_text(mail_server.messages[1])
    assert "resolved in between, reopened at" in steps.get_text(mail_server.messages[2])


def test_the_mail_of_an_already_resolved_alert_says_so(mail_server: Mailbox) -> None:
    alerts.raise_alert(Kind.STORAGE)
    alerts.resolve_alerts(Kind.STORAGE)
    alert_delivery.deliver_due()
    [message] = mail_server.messages
    assert "It is already resolved." in steps.get_text(message)
    assert "It is already resolved." in steps.get_html(message)


def test_many_simultaneous_alerts_are_one_mail(mail_server: Mailbox, settings: Settings) -> None:
    settings.COST_ALERT_EMAIL = [OLGA, "otto@example.com"]
    for n in range(100):
        alerts.raise_alert(Kind.FORBIDDEN_ADDRESS, cause=f"video {n}")
    assert alert_delivery.deliver_due() == 200
    assert read_subjects(mail_server) == ["100 alerts · A result points to a forbidden address"] * 2
    assert "100 alerts at once" in steps.get_text(mail_server.messages[0])


def test_a_lasting_storm_of_alerts_is_a_few_mails_per_window(mail_server: Mailbox, manual_clock: ManualClock) -> None:
    for n in range(60):
        alerts.raise_alert(Kind.FORBIDDEN_ADDRESS, cause=f"video {n}")
        alert_delivery.deliver_due()
        manual_clock.sleep(10)
    assert len(mail_server.messages) <= 2 * alert_delivery.MAX_SINGLE_MAILS
    manual_clock.sleep(900)
    alert_delivery.deliver_due()
    assert not AlertDelivery.objects.exclude(state="sent").exists()
    assert len(mail_server.messages) <= 2 * alert_delivery.MAX_SINGLE_MAILS + 1


def test_a_new_critical_alert_is_mailed_during_a_storm(mail_server: Mailbox, manual_clock: ManualClock) -> None:
    for n in range(alert_delivery.MAX_SINGLE_MAILS + 1):
        alerts.raise_alert(Kind.POSSIBLE_SPEND, cause=f"video {n}")
        alert_delivery.deliver_due()
        manual_clock.sleep(1)
    assert len(mail_server.messages) == alert_delivery.MAX_SINGLE_MAILS
    alerts.raise_alert(Kind.CRITICAL_BALANCE)
    assert alert_delivery.deliver_due() == 1
    assert read_subjects(mail_server)[-1] == "Critical · Provider balance is critical: new videos wait"
    alerts.raise_alert(Kind.BOOKS_UNBALANCED)
    alerts.raise_alert(Kind.STORAGE)
    assert alert_delivery.deliver_due() == 2
    assert read_subjects(mail_server)[-1].startswith("2 alerts")
    alerts.raise_alert(Kind.STORAGE, cause="media")
    assert alert_delivery.deliver_due() == 0, "alerts of a kind that was mailed recently wait"
    manual_clock.sleep(600)
    assert alert_delivery.deliver_due() == 2
    assert not AlertDelivery.objects.exclude(state="sent").exists()


def test_an_unreachable_mail_server_is_retried(
    smtp_server: Mailbox,
    mail_server: Mailbox,
    settings: Settings,
    manual_clock: ManualClock,
) -> None:
    settings.EMAIL_PORT = free_port()
    alerts.raise_alert(Kind.STORAGE)
    assert alert_delivery.deliver_due() == 0
    row = AlertDelivery.objects.get()
    assert (row.state, row.error) == ("due", "the mail server cannot be reached (ConnectionRefusedError)")
    settings.EMAIL_PORT = smtp_server.port
    assert alert_delivery.deliver_due() == 0
    manual_clock.sleep(60)
    assert alert_delivery.deliver_due() == 1
    assert len(mail_server.messages) == 1
    row.refresh_from_db()
    assert (row.state, row.error) == ("sent", "")


def test_a_refused_address_does_not_stop_other_deliveries(
    mail_server: Mailbox, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: Mailbox, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address.startswith("nobody"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    monkeypatch.setattr(Mailbox, "handle_RCPT", refuse, raising=False)
    settings.COST_ALERT_EMAIL = ["nobody@example.com", OLGA]
    alerts.raise_alert(Kind.STORAGE)
    assert alert_delivery.deliver_due() == 1
    assert AlertDelivery.objects.get(state="due").error == "the mail server refused it (SMTPRecipientsRefused)"


def test_an_alert_is_delivered_by_its_job(mail_server: Mailbox) -> None:
    alerts.raise_alert(Kind.STORAGE)
    import_string(job_queue.JOBS["alerts"])()
    assert len(mail_server.messages) == 1
    assert "alerts" not in sweep.enqueue_due()


def test_alert_mails_load_nothing_and_need_no_style_element(mail_server: Mailbox) -> None:
    """Gmail and others drop <style>, so each text has inline colour and size; there are no images."""
    alerts.raise_alert(Kind.STORAGE, cause="media", detail="full")
    alert_delivery.deliver_due()
    page = steps.get_html(mail_server.messages[0])
    assert not re.search(r"<img|<script|<link|url\(", page)
    without_style = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    for tag in re.findall(r"<(?:p|h1|span|b|a|td)\b[^>]*>", without_style):
        assert "style=" in tag, tag

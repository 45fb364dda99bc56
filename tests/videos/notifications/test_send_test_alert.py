"""`manage.py send_test_alert`."""

import json
from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from billing.alerts import outbox as alert_outbox
from billing.models import Alert, AlertDelivery
from tests.mail import Mailbox
from tests.videos.notifications.delivery import OLGA, read_subjects, split_request
from tests.videos.providers.loopback import respond_with, serve

pytestmark = pytest.mark.django_db


def send_test(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("send_test_alert", *arguments, stdout=out)
    except SystemExit as stop:
        return int(str(stop.code)), out.getvalue()
    return 0, out.getvalue()


def test_a_test_alert_goes_to_every_address_and_prints_the_results(
    mail_server: Mailbox, webhook: Callable[[str], None], settings: Settings
) -> None:
    settings.COST_ALERT_EMAIL = [OLGA]
    with serve(respond_with("200 OK")) as server:
        webhook(server.url)
        code, output = send_test()
        assert code == 0
        assert output == f"mail to {OLGA}: sent\nwebhook at 127.0.0.1:{server.port}: sent\n"
        assert json.loads(split_request(server.requests[0])[1])["type"] == "alert.test"
    assert read_subjects(mail_server) == ["Notice · Test"]
    assert not Alert.objects.filter(resolved_at=None).exists()
    assert not alert_outbox.due_deliveries()


def test_a_test_alert_that_fails_is_reported_and_not_retried(
    mail_server: Mailbox, webhook: Callable[[str], None], settings: Settings
) -> None:
    with serve(respond_with("500 Oops")) as server:
        webhook(server.url)
        code, output = send_test("--email", "otto@example.com", "--webhook")
    assert code == 1
    assert output == f"mail to otto@example.com: sent\nwebhook at 127.0.0.1:{server.port}: NOT SENT, it answered 500\n"
    assert not AlertDelivery.objects.filter(state="due").exists()


def test_a_test_alert_can_go_to_one_address_only(mail_server: Mailbox, webhook: Callable[[str], None]) -> None:
    assert send_test("--email", "otto@example.com") == (0, "mail to otto@example.com: sent\n")
    for part in mail_server.messages[0].walk():
        if not part.is_multipart():
            text = part.get_content()
            assert "an operator sent a test to your address" in text
            assert "COST_ALERT_EMAIL" not in text
    with serve(respond_with("200 OK")) as server:
        webhook(server.url)
        assert send_test("--webhook")[0] == 0
    assert [message["To"] for message in mail_server.messages] == ["otto@example.com"]


def test_without_addresses_the_command_names_the_settings(settings: Settings) -> None:
    settings.COST_ALERT_EMAIL, settings.ALERT_WEBHOOK_URL = [], ""
    with pytest.raises(CommandError, match="set COST_ALERT_EMAIL, ALERT_WEBHOOK_URL or both"):
        send_test()
    with pytest.raises(CommandError, match="ALERT_WEBHOOK_URL is empty"):
        send_test("--webhook")

"""News of alerts over a real mail server and to a real web server."""

import base64
import hmac
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils.module_loading import import_string
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.seams import clock
from billing.alerts import outbox as alert_outbox
from billing.alerts import services as alerts
from billing.alerts.runbook import RUNBOOK
from billing.models import Alert, AlertDelivery
from tests.accounts import steps
from tests.billing.conftest import SetClock
from tests.mail import Mailbox, free_port
from tests.videos.providers.loopback import Behaviour, answer, resets, says, serving
from videos import job_queue
from videos.notifications import alert_delivery
from videos.providers import standard_webhooks
from videos.worker import sweep

pytestmark = pytest.mark.django_db
Kind = Alert.Kind
OLGA = "olga@example.com"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def still() -> Iterator[SetClock]:
    """Our clock, standing still."""
    mine = SetClock()
    with clock.replaced(mine):
        yield mine


@pytest.fixture
def post_office(smtp_server: Mailbox, settings: Settings) -> Mailbox:
    """A real mail server, which Olga reads."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", smtp_server.port
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.COST_ALERT_EMAIL = [OLGA]
    return smtp_server


def subjects(mailbox: Mailbox) -> list[str]:
    return [str(message["Subject"]).strip() for message in mailbox.messages]


# Mail


def test_an_alert_arrives_as_text_and_as_a_page_with_one_button(post_office: Mailbox, settings: Settings) -> None:
    settings.APP_URL = "https://veo.example"
    alert = alerts.raise_alert(Kind.CRITICAL_BALANCE, detail="balance 480")
    assert "alerts" in sweep.enqueue_due()
    assert alert_delivery.deliver_due() == 1
    [message] = post_office.messages
    assert message["To"] == OLGA
    assert subjects(post_office) == ["Critical · Provider balance is critical: new work waits"]
    text, page = steps.get_text(message), steps.get_html(message)
    words = RUNBOOK[Kind.CRITICAL_BALANCE]
    for sentence in (words.means, words.did, words.todo, "balance 480"):
        assert str(sentence) in text
        assert str(sentence) in page
    assert f"https://veo.example/admin/billing/alert/{alert.pk}/change/" in text
    assert page.count('class="button"') == 1
    assert "https://veo.example/admin/billing/provideraccount/" in page
    assert AlertDelivery.objects.get().state == "sent"
    assert alert_delivery.deliver_due() == 0


def test_ten_thousand_triggers_are_one_mail(post_office: Mailbox) -> None:
    for _ in range(200):
        alerts.raise_alert(Kind.STORAGE, cause="media")
    Alert.objects.update(count=10_000)
    alert_delivery.deliver_due()
    for _ in range(200):
        alerts.raise_alert(Kind.STORAGE, cause="media")
    alert_delivery.deliver_due()
    [message] = post_office.messages
    assert "10,000 times" in steps.get_text(message)


def test_a_mail_speaks_its_reader_s_language_and_clock(post_office: Mailbox, still: SetClock, olga: User) -> None:
    olga.language, olga.time_zone = "zh-hans", "Asia/Shanghai"
    olga.save()
    alerts.raise_alert(Kind.STORAGE)
    alert_delivery.deliver_due()
    page = steps.get_html(post_office.messages[0])
    assert '<html lang="zh-hans">' in page
    assert "20:00" in page


def test_who_has_no_account_is_told_in_the_site_s_language(post_office: Mailbox, settings: Settings) -> None:
    settings.LANGUAGE_CODE, settings.COST_ALERT_EMAIL = "zh-hans", ["pager@example.com"]
    alerts.raise_alert(Kind.STORAGE)
    alert_delivery.deliver_due()
    assert '<html lang="zh-hans">' in steps.get_html(post_office.messages[0])


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind != Kind.TEST])
def test_every_kind_can_be_mailed(post_office: Mailbox, settings: Settings, kind: Alert.Kind) -> None:
    settings.ALERT_FROM_SEVERITY = "info"
    alerts.raise_alert(kind, cause="x", detail="<b>& 'odd'\nwords")
    alert_delivery.deliver_due()
    [message] = post_office.messages
    assert "<b>& 'odd'" in steps.get_text(message)
    assert "&lt;b&gt;&amp;" in steps.get_html(message)
    assert "%(" not in steps.get_text(message)


def test_that_it_is_over_and_that_it_is_back_is_said(post_office: Mailbox, still: SetClock) -> None:
    alerts.raise_alert(Kind.STORAGE)
    alert_delivery.deliver_due()
    still.sleep(120)
    alerts.resolve_alerts(Kind.STORAGE)
    alert_delivery.deliver_due()
    still.sleep(7200)
    alerts.raise_alert(Kind.STORAGE)
    alert_delivery.deliver_due()
    assert subjects(post_office) == [
        "Critical · Media storage has trouble",
        "Over · Media storage has trouble",
        "Critical, again · Media storage has trouble",
    ]
    assert "There is nothing left to do." in steps.get_text(post_office.messages[1])
    assert "over in between, again since" in steps.get_text(post_office.messages[2])


def test_what_was_over_before_its_mail_says_so(post_office: Mailbox) -> None:
    alerts.raise_alert(Kind.STORAGE)
    alerts.resolve_alerts(Kind.STORAGE)
    alert_delivery.deliver_due()
    [message] = post_office.messages
    assert "It is over already." in steps.get_text(message)
    assert "It is over already." in steps.get_html(message)


def test_many_at_once_are_one_mail(post_office: Mailbox, settings: Settings) -> None:
    settings.COST_ALERT_EMAIL = [OLGA, "otto@example.com"]
    for n in range(100):
        alerts.raise_alert(Kind.FORBIDDEN_ADDRESS, cause=f"video {n}")
    assert alert_delivery.deliver_due() == 200
    assert subjects(post_office) == ["100 alerts · A result points to a forbidden address"] * 2
    assert "100 alerts came together" in steps.get_text(post_office.messages[0])


def test_a_storm_that_goes_on_is_a_few_mails_each_while(post_office: Mailbox, still: SetClock) -> None:
    for n in range(60):
        alerts.raise_alert(Kind.FORBIDDEN_ADDRESS, cause=f"video {n}")
        alert_delivery.deliver_due()
        still.sleep(10)
    assert len(post_office.messages) <= 2 * alert_delivery.MAX_SINGLE_MAILS
    still.sleep(900)
    alert_delivery.deliver_due()
    assert not AlertDelivery.objects.exclude(state="sent").exists()
    assert len(post_office.messages) <= 2 * alert_delivery.MAX_SINGLE_MAILS + 1


def test_what_is_critical_and_new_passes_a_storm(post_office: Mailbox, still: SetClock) -> None:
    for n in range(alert_delivery.MAX_SINGLE_MAILS + 1):
        alerts.raise_alert(Kind.POSSIBLE_SPEND, cause=f"video {n}")
        alert_delivery.deliver_due()
        still.sleep(1)
    assert len(post_office.messages) == alert_delivery.MAX_SINGLE_MAILS
    alerts.raise_alert(Kind.CRITICAL_BALANCE)
    assert alert_delivery.deliver_due() == 1
    assert subjects(post_office)[-1] == "Critical · Provider balance is critical: new work waits"
    alerts.raise_alert(Kind.BOOKS)
    alerts.raise_alert(Kind.STORAGE)
    assert alert_delivery.deliver_due() == 2
    assert subjects(post_office)[-1].startswith("2 alerts")
    alerts.raise_alert(Kind.STORAGE, cause="media")
    assert alert_delivery.deliver_due() == 0, "more of what was just read"
    still.sleep(600)
    assert alert_delivery.deliver_due() == 2
    assert not AlertDelivery.objects.exclude(state="sent").exists()


def test_a_mail_server_that_is_away_is_tried_again(
    smtp_server: Mailbox,
    post_office: Mailbox,
    settings: Settings,
    still: SetClock,
) -> None:
    settings.EMAIL_PORT = free_port()
    alerts.raise_alert(Kind.STORAGE)
    assert alert_delivery.deliver_due() == 0
    row = AlertDelivery.objects.get()
    assert (row.state, row.error) == ("due", "the mail server cannot be reached (ConnectionRefusedError)")
    settings.EMAIL_PORT = smtp_server.port
    assert alert_delivery.deliver_due() == 0
    still.sleep(60)
    assert alert_delivery.deliver_due() == 1
    assert len(post_office.messages) == 1
    row.refresh_from_db()
    assert (row.state, row.error) == ("sent", "")


def test_an_address_that_the_server_refuses_does_not_keep_others_from_hearing(
    post_office: Mailbox, settings: Settings, monkeypatch: pytest.MonkeyPatch
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


def test_the_bell_carries_the_news(post_office: Mailbox) -> None:
    alerts.raise_alert(Kind.STORAGE)
    import_string(job_queue.JOBS["alerts"])()
    assert len(post_office.messages) == 1
    assert "alerts" not in sweep.enqueue_due()


# The webhook


@pytest.fixture
def hook(settings: Settings) -> Callable[[str], None]:
    """Point the webhook at a server."""
    settings.COST_ALERT_EMAIL = []
    settings.ALERT_WEBHOOK_SECRET = SECRET

    def at(url: str) -> None:
        settings.ALERT_WEBHOOK_URL = url

    return at


def parts(request: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}, body


def test_the_signature_is_the_one_of_the_specification() -> None:
    headers = standard_webhooks.signature_headers(
        b'{"test": 2432232314}', message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, secret=SECRET
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_%%%", "whsec_c2hvcnQ=", SECRET.removeprefix("whsec_")])
def test_a_secret_that_is_none_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ValueError, match=r"^the secret must be whsec_ and the base64 of 24 to 64 bytes$"):
        standard_webhooks.parse_secret(secret)


def test_an_alert_is_posted_signed_with_names_that_stay(hook: Callable[[str], None], still: SetClock) -> None:
    with serving(says("204 No Content")) as server:
        hook(f"{server.url}/alerts?room=7")
        alert = alerts.raise_alert(Kind.STORAGE, cause="media", detail="full", reference="r")
        assert alert_delivery.deliver_due() == 1
        still.sleep(60)
        alerts.resolve_alerts(Kind.STORAGE)
        assert alert_delivery.deliver_due() == 1
    assert [request.split(b"\r\n")[0] for request in server.requests] == [b"POST /alerts?room=7 HTTP/1.1"] * 2
    headers, body = parts(server.requests[0])
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == f"alert_{alert.pk}_raised_1"
    assert headers["content-type"] == "application/json"
    said = json.loads(body)
    assert (said["type"], said["timestamp"]) == ("alert.raised", "2026-09-01T12:00:00+00:00")
    data = said["data"]
    assert set(data) == {
        "id", "kind", "severity", "title", "meaning", "done_by_itself", "to_do", "cause", "detail", "facts", "reference",
        "count", "first_at", "last_at", "reopened_at", "resolved_at", "url",
    }  # fmt: skip
    assert (data["kind"], data["severity"], data["cause"], data["detail"]) == ("storage", "critical", "media", "full")
    assert data["title"] == "Media storage has trouble"
    headers, body = parts(server.requests[1])
    assert headers["webhook-id"] == f"alert_{alert.pk}_over_1"
    assert json.loads(body)["type"] == "alert.resolved"
    assert json.loads(body)["data"]["resolved_at"] == "2026-09-01T12:01:00+00:00"


def redirects(sock: Any, request: bytes) -> None:
    sock.sendall(answer("302 Found", headers={"Location": "/elsewhere"}))


@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (says("500 Oops"), "it answered 500"),
        (redirects, "it answered 302"),
        (resets, "the connection was reset"),
        (says("400 Bad", b"x" * 100_000), "it answered 400"),
    ],
)
def test_a_webhook_that_does_not_take_it_gets_it_again_under_the_same_id(
    hook: Callable[[str], None],
    still: SetClock,
    behave: Behaviour,
    error: str,
) -> None:
    alert_due = AlertDelivery.objects.filter(state="due")
    with serving(behave) as server:
        hook(server.url)
        alerts.raise_alert(Kind.STORAGE)
        assert alert_delivery.deliver_due() == 0
        assert alert_delivery.deliver_due() == 0
        assert alert_due.get().error == error
        still.sleep(60)
        assert alert_delivery.deliver_due() == 0
        assert len(server.requests) == 2
    assert len({parts(request)[0]["webhook-id"] for request in server.requests}) == 1
    assert alert_due.get().due_at == still.at + timedelta(seconds=alert_outbox.BACKOFF_S[1])


def test_a_webhook_that_is_not_there_is_named_without_its_address(
    hook: Callable[[str], None], settings: Settings
) -> None:
    hook(f"http://127.0.0.1:{free_port()}/services/a-secret")
    alerts.raise_alert(Kind.STORAGE)
    alert_delivery.deliver_due()
    row = AlertDelivery.objects.get()
    assert (row.state, row.error) == ("due", "connection refused")
    assert "a-secret" not in row.address


def test_a_webhook_that_is_gone_gets_nothing_more(hook: Callable[[str], None], still: SetClock) -> None:
    with serving(says("410 Gone")) as server:
        hook(server.url)
        alerts.raise_alert(Kind.STORAGE)
        alert_delivery.deliver_due()
        still.sleep(100_000)
        alert_delivery.deliver_due()
    assert len(server.requests) == 1
    assert AlertDelivery.objects.get().state == "failed"


def test_a_webhook_that_was_taken_out_of_the_settings_is_given_up(hook: Callable[[str], None]) -> None:
    hook("http://127.0.0.1:9/")
    alerts.raise_alert(Kind.STORAGE)
    hook("")
    assert alert_delivery.deliver_due() == 0
    assert AlertDelivery.objects.get().state == "failed"


def test_a_secret_that_cannot_sign_sends_nothing(hook: Callable[[str], None], settings: Settings) -> None:
    with serving(says("200 OK")) as server:
        hook(server.url)
        settings.ALERT_WEBHOOK_SECRET = ""
        alerts.raise_alert(Kind.STORAGE)
        assert alert_delivery.deliver_due() == 0
    assert server.requests == []
    assert "whsec_" in AlertDelivery.objects.get().error


# The command


def send_test(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("send_test_alert", *arguments, stdout=out)
    except SystemExit as stop:
        return int(str(stop.code)), out.getvalue()
    return 0, out.getvalue()


def test_a_test_alert_goes_everywhere_and_says_where_it_arrived(
    post_office: Mailbox, hook: Callable[[str], None], settings: Settings
) -> None:
    settings.COST_ALERT_EMAIL = [OLGA]
    with serving(says("200 OK")) as server:
        hook(server.url)
        code, said = send_test()
        assert code == 0
        assert said == f"mail to {OLGA}: sent\nwebhook at 127.0.0.1:{server.port}: sent\n"
        assert json.loads(parts(server.requests[0])[1])["type"] == "alert.test"
    assert subjects(post_office) == ["Notice · A test"]
    assert not Alert.objects.filter(resolved_at=None).exists()
    assert not alert_outbox.due_deliveries()


def test_a_test_alert_that_does_not_arrive_says_so_and_is_not_tried_again(
    post_office: Mailbox, hook: Callable[[str], None], settings: Settings
) -> None:
    with serving(says("500 Oops")) as server:
        hook(server.url)
        code, said = send_test("--email", "otto@example.com", "--webhook")
    assert code == 1
    assert said == f"mail to otto@example.com: sent\nwebhook at 127.0.0.1:{server.port}: NOT SENT, it answered 500\n"
    assert not AlertDelivery.objects.filter(state="due").exists()


def test_a_test_alert_may_go_to_one_place_alone(post_office: Mailbox, hook: Callable[[str], None]) -> None:
    assert send_test("--email", "otto@example.com") == (0, "mail to otto@example.com: sent\n")
    for part in post_office.messages[0].walk():
        if not part.is_multipart():
            text = part.get_content()
            assert "an operator sent a test to your address" in text
            assert "COST_ALERT_EMAIL" not in text
    with serving(says("200 OK")) as server:
        hook(server.url)
        assert send_test("--webhook")[0] == 0
    assert [message["To"] for message in post_office.messages] == ["otto@example.com"]


def test_with_nothing_set_the_command_says_what_to_set(settings: Settings) -> None:
    settings.COST_ALERT_EMAIL, settings.ALERT_WEBHOOK_URL = [], ""
    with pytest.raises(CommandError, match="set COST_ALERT_EMAIL, ALERT_WEBHOOK_URL or both"):
        send_test()
    with pytest.raises(CommandError, match="ALERT_WEBHOOK_URL is empty"):
        send_test("--webhook")


def test_pages_of_alerts_load_nothing_and_read_well_without_a_style_element(post_office: Mailbox) -> None:
    """Gmail and others drop <style>: each text has its colour and size in place, and nothing is an image."""
    alerts.raise_alert(Kind.STORAGE, cause="media", detail="full")
    alert_delivery.deliver_due()
    page = steps.get_html(post_office.messages[0])
    assert not re.search(r"<img|<script|<link|url\(", page)
    bare = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    for tag in re.findall(r"<(?:p|h1|span|b|a|td)\b[^>]*>", bare):
        assert "style=" in tag, tag

"""Alerts posted to a real web server."""

import base64
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from billing.alerts import outbox as alert_outbox
from billing.alerts import services as alerts
from billing.models import AlertDelivery
from tests.clocks import ManualClock
from tests.mail import free_port
from tests.videos.notifications.delivery import SECRET, Kind, split_request
from tests.videos.providers.loopback import Behaviour, make_http_response, reset_connection, respond_with, serve
from videos.notifications import alert_delivery
from videos.providers import standard_webhooks

pytestmark = pytest.mark.django_db


def test_the_signature_matches_the_specification() -> None:
    headers = standard_webhooks.signature_headers(
        b'{"test": 2432232314}', message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, secret=SECRET
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_%%%", "whsec_c2hvcnQ=", SECRET.removeprefix("whsec_")])
def test_an_invalid_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ValueError, match=r"^the secret must be whsec_ and the base64 of 24 to 64 bytes$"):
        standard_webhooks.parse_secret(secret)


def test_an_alert_is_posted_signed_with_the_documented_fields(
    webhook: Callable[[str], None], manual_clock: ManualClock
) -> None:
    with serve(respond_with("204 No Content")) as server:
        webhook(f"{server.url}/alerts?room=7")
        alert = alerts.raise_alert(Kind.STORAGE, cause="media", detail="full", reference="r")
        assert alert_delivery.deliver_due() == 1
        manual_clock.sleep(60)
        alerts.resolve_alerts(Kind.STORAGE)
        assert alert_delivery.deliver_due() == 1
    assert [request.split(b"\r\n")[0] for request in server.requests] == [b"POST /alerts?room=7 HTTP/1.1"] * 2
    headers, body = split_request(server.requests[0])
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed_content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(key, signed_content, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == f"alert_{alert.pk}_raised_1"
    assert headers["content-type"] == "application/json"
    payload = json.loads(body)
    assert (payload["type"], payload["timestamp"]) == ("alert.raised", "2026-09-01T12:00:00+00:00")
    data = payload["data"]
    assert set(data) == {
        "id", "kind", "severity", "title", "meaning", "done_by_itself", "to_do", "cause", "detail", "facts", "reference",
        "count", "first_at", "last_at", "reopened_at", "resolved_at", "url",
    }  # fmt: skip
    assert (data["kind"], data["severity"], data["cause"], data["detail"]) == ("storage", "critical", "media", "full")
    assert data["title"] == "Media storage has trouble"
    headers, body = split_request(server.requests[1])
    assert headers["webhook-id"] == f"alert_{alert.pk}_over_1"
    assert json.loads(body)["type"] == "alert.resolved"
    assert json.loads(body)["data"]["resolved_at"] == "2026-09-01T12:01:00+00:00"


def redirects(sock: Any, request: bytes) -> None:
    sock.sendall(make_http_response("302 Found", headers={"Location": "/elsewhere"}))


@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (respond_with("500 Oops"), "it answered 500"),
        (redirects, "it answered 302"),
        (reset_connection, "the connection was reset"),
        (respond_with("400 Bad", b"x" * 100_000), "it answered 400"),
    ],
)
def test_a_refused_webhook_post_is_retried_with_the_same_id(
    webhook: Callable[[str], None],
    manual_clock: ManualClock,
    behave: Behaviour,
    error: str,
) -> None:
    due_deliveries = AlertDelivery.objects.filter(state="due")
    with serve(behave) as server:
        webhook(server.url)
        alerts.raise_alert(Kind.STORAGE)
        assert alert_delivery.deliver_due() == 0
        assert alert_delivery.deliver_due() == 0
        assert due_deliveries.get().error == error
        manual_clock.sleep(60)
        assert alert_delivery.deliver_due() == 0
        assert len(server.requests) == 2
    assert len({split_request(request)[0]["webhook-id"] for request in server.requests}) == 1
    assert due_deliveries.get().due_at == manual_clock.at + timedelta(seconds=alert_outbox.BACKOFF_S[1])


def test_an_unreachable_webhook_error_hides_the_address(webhook: Callable[[str], None], settings: Settings) -> None:
    webhook(f"http://127.0.0.1:{free_port()}/services/a-secret")
    alerts.raise_alert(Kind.STORAGE)
    alert_delivery.deliver_due()
    row = AlertDelivery.objects.get()
    assert (row.state, row.error) == ("due", "connection refused")
    assert "a-secret" not in row.address


def test_a_webhook_post_refused_with_410_is_not_retried(
    webhook: Callable[[str], None], manual_clock: ManualClock
) -> None:
    with serve(respond_with("410 Gone")) as server:
        webhook(server.url)
        alerts.raise_alert(Kind.STORAGE)
        alert_delivery.deliver_due()
        manual_clock.sleep(100_000)
        alert_delivery.deliver_due()
    assert len(server.requests) == 1
    assert AlertDelivery.objects.get().state == "failed"


def test_deliveries_to_a_removed_webhook_are_given_up(webhook: Callable[[str], None]) -> None:
    webhook("http://127.0.0.1:9/")
    alerts.raise_alert(Kind.STORAGE)
    webhook("")
    assert alert_delivery.deliver_due() == 0
    assert AlertDelivery.objects.get().state == "failed"


def test_an_invalid_secret_sends_nothing(webhook: Callable[[str], None], settings: Settings) -> None:
    with serve(respond_with("200 OK")) as server:
        webhook(server.url)
        settings.ALERT_WEBHOOK_SECRET = ""
        alerts.raise_alert(Kind.STORAGE)
        assert alert_delivery.deliver_due() == 0
    assert server.requests == []
    assert "whsec_" in AlertDelivery.objects.get().error

"""Callbacks: what is sent, how it is signed, and how often it is retried."""

import hashlib
import json
import time

import pytest

from tests.sandbox import SandboxProcess
from tests.videos.sandbox.conftest import Kie, Receiver, is_signed
from videos.sandbox.wire.delivery import sign
from videos.sandbox.wire.loopback import NotLoopback, loopback_address


def test_a_success_calls_back_with_the_documented_body(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    task_id = kie.start_task("A cat", callBackUrl=receiver.url)
    call = receiver.wait()[0]
    assert call.path == "/callback/one/token-abcdef/"
    assert call.headers["Content-Type"] == "application/json"
    assert "X-Webhook-Signature" not in call.headers
    assert (call.body["code"], call.body["msg"]) == (200, "Veo3.1 video generated successfully.")
    data = call.body["data"]
    assert (data["taskId"], data["fallbackFlag"], data["info"]["resolution"]) == (task_id, False, "720p")
    assert data["info"]["resultUrls"] == kie.wait_until_done(task_id)["response"]["resultUrls"]
    assert json.loads(data["promptJson"])["prompt"] == "A cat"
    logged = sandbox.wait_for("callback", task_id=task_id)[0]
    assert (logged["status"], logged["attempt"], logged["kind"]) == (200, 1, "genuine")
    assert logged["body_sha256"] == hashlib.sha256(call.raw).hexdigest()


def test_a_failure_calls_back_without_info(kie: Kie, receiver: Receiver) -> None:
    task_id = kie.start_task("A cat [fail]", callBackUrl=receiver.url)
    body = receiver.wait()[0].body
    assert body["code"] == 422
    assert body["msg"].startswith("Your request was rejected by Flow(failed).")
    assert body["data"] == {"taskId": task_id, "fallbackFlag": False}


@pytest.mark.parametrize(
    ("key", "task_id", "at", "signature"),
    [
        (
            "test-webhook-hmac-key",
            "ee9c2715375b7837f8bb51d641ff5863",
            1769670760,
            "xG6/yOyrMyJtUdc1yjmHpKLHSHF3MpzOPa6uxSj3qb4=",
        ),
        (
            "test-webhook-hmac-key",
            "4c9a31a5bb61db65d10f1210d78cc08a",
            1776728275,
            "Ci7ANqUToDiwiRqnK7RnSvnZEHQ7j6uTYr3AouH5P1U=",
        ),
        ("k", "4c9a31a5bb61db65d10f1210d78cc08a", 1769670760, "AE95MA5Y9Ko4D7Bl9CtupJOlqccDyKfsRVRJ/a1FhE8="),
    ],
)
def test_signatures_match_the_known_vectors(key: str, task_id: str, at: int, signature: str) -> None:
    assert sign(task_id, key=key, at=at) == {"X-Webhook-Timestamp": str(at), "X-Webhook-Signature": signature}


def test_callbacks_are_signed_when_a_key_is_set(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    sandbox.settings(hmac_key="secret")
    kie.start_task(callBackUrl=receiver.url)
    call = receiver.wait()[0]
    assert is_signed(call, "secret")
    assert abs(int(call.headers["X-Webhook-Timestamp"]) - time.time()) < 5


def test_a_callback_is_retried_three_times(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    receiver.statuses = [500, 404, 202, 503, 500]
    kie.start_task(callBackUrl=receiver.url)
    for attempt in range(1, 5):
        sandbox.wait_for("callback", count=attempt)
        sandbox.advance(60)
    time.sleep(0.3)
    assert [row["status"] for row in sandbox.events("callback")] == [500, 404, 202, 503]
    assert len(receiver.received) == 4


def test_retries_end_with_a_response_of_200(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    receiver.statuses = [500]
    kie.start_task(callBackUrl=receiver.url)
    sandbox.wait_for("callback")
    sandbox.advance(6)
    sandbox.wait_for("callback", count=2)
    sandbox.advance(600)
    time.sleep(0.2)
    assert [row["status"] for row in sandbox.events("callback")] == [500, 200]


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1/x", "http://example.invalid/x", "https://127.0.0.1/x", "http://10.0.0.1:80/x"]
)
def test_no_callback_is_sent_to_another_machine(sandbox: SandboxProcess, kie: Kie, url: str) -> None:
    task_id = kie.start_task(callBackUrl=url)
    assert sandbox.wait_for("callback_refused")[0]["task_id"] == task_id
    assert sandbox.events("callback") == []


@pytest.mark.parametrize("host", ["0.0.0.0", "169.254.169.254", "::", "fe80::1"])
def test_an_address_that_is_not_loopback_is_refused(host: str) -> None:
    with pytest.raises(NotLoopback):
        loopback_address(host, 80)


def test_an_attempt_without_a_receiver_is_logged_with_its_error(sandbox: SandboxProcess, kie: Kie) -> None:
    kie.start_task(callBackUrl="http://127.0.0.1:9/nobody")
    assert "ConnectionRefused" in sandbox.wait_for("callback")[0]["error"]


def test_4k_calls_back_with_its_cost(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    task_id = kie.start_task()
    kie.wait_until_done(task_id)
    kie.post("/api/v1/veo/get-4k-video", {"taskId": task_id, "callBackUrl": receiver.url})
    sandbox.finish()
    body = receiver.wait()[0].body
    assert list(body) == ["code", "data", "msg"]
    assert (body["msg"], body["data"]["creditsConsumed"]) == ("4K Video generated successfully.", 120)
    assert set(body["data"]["info"]) == {"imageUrls", "resultUrls"}


def test_4k_calls_back_a_failure_or_in_snake_case(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    first, second = kie.start_task(), kie.start_task()
    kie.wait_until_done(second)
    kie.wait_until_done(first)
    sandbox.set_faults("4k-fails=1", "callback-snake")
    for task_id in (first, second):
        kie.post("/api/v1/veo/get-4k-video", {"taskId": task_id, "callBackUrl": receiver.url})
        sandbox.finish()
        receiver.wait(1 if task_id == first else 2)
    failed, done = (call.body for call in receiver.received)
    assert failed == {
        "code": 500,
        "msg": "The 4K version of this video is unavailable. Please try a different video.",
        "data": {"taskId": first},
    }
    assert set(done["data"]) == {"task_id", "result_urls", "media_ids", "image_urls"}

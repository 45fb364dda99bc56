"""Callbacks: what is sent, how it is signed, how often it is tried, and every odd one."""

import base64
import hashlib
import hmac
import json
import time

import pytest

from tests.sandbox import SandboxProcess
from tests.videos.sandbox.conftest import Kie, Received, Receiver
from videos.sandbox.wire.delivery import sign
from videos.sandbox.wire.loopback import NotLoopback, loopback_address


def test_a_success_is_told_with_the_real_body(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    task_id = kie.task("A cat", callBackUrl=receiver.url)
    call = receiver.wait()[0]
    assert call.path == "/callback/one/token-abcdef/"
    assert call.headers["Content-Type"] == "application/json"
    assert "X-Webhook-Signature" not in call.headers
    assert (call.body["code"], call.body["msg"]) == (200, "Veo3.1 video generated successfully.")
    data = call.body["data"]
    assert (data["taskId"], data["fallbackFlag"], data["info"]["resolution"]) == (task_id, False, "720p")
    assert data["info"]["resultUrls"] == kie.done(task_id)["response"]["resultUrls"]
    assert json.loads(data["promptJson"])["prompt"] == "A cat"
    logged = sandbox.wait_for("callback", task_id=task_id)[0]
    assert (logged["status"], logged["attempt"], logged["kind"]) == (200, 1, "genuine")
    assert logged["body_sha256"] == hashlib.sha256(call.raw).hexdigest()


def test_a_failure_is_told_without_info(kie: Kie, receiver: Receiver) -> None:
    task_id = kie.task("A cat [fail]", callBackUrl=receiver.url)
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


def _is_signed(call: Received, key: str) -> bool:
    task_id = call.body["data"]["taskId"]
    message = f"{task_id}.{call.headers['X-Webhook-Timestamp']}".encode()
    expected = base64.b64encode(hmac.new(key.encode(), message, hashlib.sha256).digest()).decode()
    return call.headers["X-Webhook-Signature"] == expected


def test_callbacks_are_signed_when_a_key_is_set(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    sandbox.settings(hmac_key="secret")
    kie.task(callBackUrl=receiver.url)
    call = receiver.wait()[0]
    assert _is_signed(call, "secret")
    assert abs(int(call.headers["X-Webhook-Timestamp"]) - time.time()) < 5


def test_three_retries_then_never_again(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    receiver.statuses = [500, 404, 202, 503, 500]
    kie.task(callBackUrl=receiver.url)
    for attempt in range(1, 5):
        sandbox.wait_for("callback", count=attempt)
        sandbox.advance(60)
    time.sleep(0.3)
    assert [row["status"] for row in sandbox.events("callback")] == [500, 404, 202, 503]
    assert len(receiver.received) == 4


def test_a_retry_that_is_answered_200_is_the_last(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    receiver.statuses = [500]
    kie.task(callBackUrl=receiver.url)
    sandbox.wait_for("callback")
    sandbox.advance(6)
    sandbox.wait_for("callback", count=2)
    sandbox.advance(600)
    time.sleep(0.2)
    assert [row["status"] for row in sandbox.events("callback")] == [500, 200]


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1/x", "http://example.invalid/x", "https://127.0.0.1/x", "http://10.0.0.1:80/x"]
)
def test_nobody_beyond_this_machine_is_called(sandbox: SandboxProcess, kie: Kie, url: str) -> None:
    task_id = kie.task(callBackUrl=url)
    assert sandbox.wait_for("callback_refused")[0]["task_id"] == task_id
    assert sandbox.events("callback") == []


@pytest.mark.parametrize("host", ["0.0.0.0", "169.254.169.254", "::", "fe80::1"])
def test_what_is_not_loopback_is_refused(host: str) -> None:
    with pytest.raises(NotLoopback):
        loopback_address(host, 80)


def test_a_receiver_that_is_gone_is_an_attempt_with_an_error(sandbox: SandboxProcess, kie: Kie) -> None:
    kie.task(callBackUrl="http://127.0.0.1:9/nobody")
    assert "ConnectionRefused" in sandbox.wait_for("callback")[0]["error"]


def test_4k_calls_back_with_what_it_cost(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    task_id = kie.task()
    kie.done(task_id)
    kie.post("/api/v1/veo/get-4k-video", {"taskId": task_id, "callBackUrl": receiver.url})
    sandbox.finish()
    body = receiver.wait()[0].body
    assert list(body) == ["code", "data", "msg"]
    assert (body["msg"], body["data"]["creditsConsumed"]) == ("4K Video generated successfully.", 120)
    assert set(body["data"]["info"]) == {"imageUrls", "resultUrls"}


def test_4k_can_fail_and_can_speak_in_snake_case(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    first, second = kie.task(), kie.task()
    kie.done(second)
    kie.done(first)
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


# From here on, one odd callback after the other.


def _one(
    sandbox: SandboxProcess, kie: Kie, receiver: Receiver, *orders: str, count: int = 1
) -> tuple[str, list[Received]]:
    sandbox.set_faults(*orders)
    task_id = kie.task("A cat", callBackUrl=receiver.url)
    return task_id, receiver.wait(count)


def test_no_callback(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    sandbox.set_faults("no-callback")
    kie.done(kie.task(callBackUrl=receiver.url))
    time.sleep(0.2)
    assert receiver.received == []


def test_ten_duplicates(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    _, calls = _one(sandbox, kie, receiver, "duplicate-callback:10", count=10)
    assert len({call.raw for call in calls}) == 1
    assert len(calls) == 10


def test_early_callback_comes_before_the_answer(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    sandbox.set_faults("early-callback")
    task_id = kie.task(callBackUrl=receiver.url)
    assert receiver.received[0].body["data"]["taskId"] == task_id
    assert kie.info(task_id)["data"]["successFlag"] == 1


def test_late_callback_waits(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    sandbox.set_faults("late-callback:100")
    kie.done(kie.task(callBackUrl=receiver.url))
    time.sleep(0.2)
    assert receiver.received == []
    sandbox.advance(101)
    receiver.wait()


def test_success_then_failure_and_failure_then_success(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    task_id, calls = _one(sandbox, kie, receiver, "fail-after-success", count=2)
    assert [call.body["code"] for call in calls] == [200, 501]
    assert kie.info(task_id)["data"]["successFlag"] == 1
    receiver.received.clear()
    task_id, calls = _one(sandbox, kie, receiver, "success-after-fail", count=2)
    assert [call.body["code"] for call in calls] == [422, 200]
    assert kie.info(task_id)["data"]["successFlag"] == 3


def test_forged_and_strange_bodies_come_beside_the_true_one(
    sandbox: SandboxProcess, kie: Kie, receiver: Receiver
) -> None:
    other = kie.task()
    orders = ("callback-forged-body", "callback-stranger", "callback-wrong-token")
    task_id, calls = _one(sandbox, kie, receiver, *orders, count=4)
    ids = [call.body["data"]["taskId"] for call in calls]
    assert ids.count(other) == 1
    assert ids.count(task_id) == 2
    assert {call.path for call in calls} == {"/callback/one/token-abcdef/", "/callback/one/token-abAAAA/"}
    forged = next(call.body for call in calls if call.body["data"]["taskId"] == other)
    assert forged["data"]["info"]["resultUrls"] == ["http://169.254.169.254/latest/meta-data/"]
    kinds = {row["kind"] for row in sandbox.wait_for("callback", count=4)}
    assert kinds == {"genuine", "forged", "stranger", "wrong token"}


def test_another_tasks_address_is_called(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    kie.done(kie.task(callBackUrl=receiver.url.replace("/one/", "/two/")))
    receiver.wait()
    _, calls = _one(sandbox, kie, receiver, "callback-other-token", count=3)
    assert sorted(call.path for call in calls).count("/callback/two/token-abcdef/") == 2


def test_lies_come_while_record_info_still_says_zero(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    sandbox.settings(times_s=[100, 100, 100])
    sandbox.set_faults("callback-lies-success")
    task_id = kie.task(callBackUrl=receiver.url)
    sandbox.advance(65)
    assert receiver.wait()[0].body["code"] == 200
    assert kie.info(task_id)["data"]["successFlag"] == 0
    sandbox.set_faults("callback-lies-failure")
    task_id = kie.task(callBackUrl=receiver.url)
    sandbox.advance(65)
    assert 501 in {call.body["code"] for call in receiver.wait(3)}


@pytest.mark.parametrize(
    ("order", "urls"),
    [
        ("callback-empty-urls", "[]"),
        ("callback-null-urls", "null"),
        ("callback-bare-string", '"http:'),
        ("callback-json-string", '"[\\"http:'),
        ("callback-unquoted-list", '"[http:'),
        ("callback-evil-url", '["http://169.254.169.254/'),
        ("callback-evil-url:http://[::1]:22/?a=1@b", '["http://[::1]:22/?a=1@b"]'),
    ],
)
def test_odd_lists_of_results(sandbox: SandboxProcess, kie: Kie, receiver: Receiver, order: str, urls: str) -> None:
    _, calls = _one(sandbox, kie, receiver, order)
    assert json.dumps(calls[0].body["data"]["info"]["resultUrls"]).startswith(urls)


@pytest.mark.parametrize(
    ("order", "keys"),
    [
        ("callback-flat", {"taskId", "successFlag", "resultUrls"}),
        ("callback-market", {"taskId", "state", "resultJson"}),
        ("callback-snake", {"task_id", "result_urls", "promptJson", "fallbackFlag"}),
        ("callback-no-info", {"taskId", "promptJson", "fallbackFlag"}),
        ("callback-no-prompt", {"taskId", "info", "fallbackFlag"}),
        ("credits-consumed", {"taskId", "info", "promptJson", "fallbackFlag", "creditsConsumed"}),
    ],
)
def test_other_shapes(sandbox: SandboxProcess, kie: Kie, receiver: Receiver, order: str, keys: set[str]) -> None:
    _, calls = _one(sandbox, kie, receiver, order)
    body = calls[0].body
    assert set(body.get("data", body)) == keys


def test_other_words(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    orders = (
        "callback-unknown-code:799",
        "callback-message-key",
        "callback-msg:Veo3.1 视频生成成功。",
        "callback-prompt-object",
    )
    _, calls = _one(sandbox, kie, receiver, *orders)
    body = calls[0].body
    assert (body["code"], body["message"]) == (799, "Veo3.1 视频生成成功。")
    assert body["data"]["promptJson"]["prompt"] == "A cat"


def test_bad_stale_missing_and_replayed_signatures(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    sandbox.settings(hmac_key="secret")
    _, calls = _one(sandbox, kie, receiver, "bad-signature")
    assert not _is_signed(calls[-1], "secret")
    _, calls = _one(sandbox, kie, receiver, "stale-signature:7200", count=2)
    assert _is_signed(calls[-1], "secret")
    assert time.time() - int(calls[-1].headers["X-Webhook-Timestamp"]) > 7000
    _, calls = _one(sandbox, kie, receiver, "no-signature", count=3)
    assert "X-Webhook-Signature" not in calls[-1].headers
    _, calls = _one(sandbox, kie, receiver, "replayed-signature", count=5)
    true, replayed = calls[-2:]
    assert true.headers["X-Webhook-Signature"] == replayed.headers["X-Webhook-Signature"]
    assert (true.body["code"], replayed.body["code"]) == (200, 501)


def test_malformed_bodies_in_turn_or_by_name(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    _, calls = _one(sandbox, kie, receiver, "callback-malformed:bad-utf8")
    with pytest.raises(UnicodeDecodeError):
        calls[0].raw.decode()
    for kind in ("bad-json", "content-type", "deep", "nan", "duplicate-keys", "empty", "array"):
        receiver.received.clear()
        _one(sandbox, kie, receiver, f"callback-malformed:{kind}")
    sent = [row["kind"] for row in sandbox.wait_for("callback", count=8)]
    assert len(set(sent)) == 8
    receiver.received.clear()
    _one(sandbox, kie, receiver, "callback-malformed")
    assert sandbox.wait_for("callback", count=9)[-1]["kind"].startswith("malformed ")


def test_large_and_slow_and_endless_bodies(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    _, calls = _one(sandbox, kie, receiver, "callback-big:2")
    assert len(calls[0].raw) > 2 * 1024 * 1024
    _, calls = _one(sandbox, kie, receiver, "callback-slow:0.001", count=2)
    assert calls[1].headers["Transfer-Encoding"] == "chunked"
    _, calls = _one(sandbox, kie, receiver, "callback-endless", count=3)
    assert calls[2].headers["Transfer-Encoding"] == "chunked"
    row = sandbox.wait_for("callback", count=3)[2]
    assert row["status"] == 200 or row["error"]

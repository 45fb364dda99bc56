"""Faults of callbacks."""

import json
import time

import pytest

from tests.sandbox import SandboxProcess
from tests.videos.sandbox.conftest import Kie, Received, Receiver, is_signed


def _receive_callbacks(
    sandbox: SandboxProcess, kie: Kie, receiver: Receiver, *orders: str, count: int = 1
) -> tuple[str, list[Received]]:
    sandbox.set_faults(*orders)
    task_id = kie.start_task("A cat", callBackUrl=receiver.url)
    return task_id, receiver.wait(count)


def test_no_callback_is_sent_if_ordered(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    sandbox.set_faults("no-callback")
    kie.wait_until_done(kie.start_task(callBackUrl=receiver.url))
    time.sleep(0.2)
    assert receiver.received == []


def test_duplicates_are_the_same_callback_ten_times(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    _, calls = _receive_callbacks(sandbox, kie, receiver, "duplicate-callback:10", count=10)
    assert len({call.raw for call in calls}) == 1
    assert len(calls) == 10


def test_an_early_callback_comes_before_the_response(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    sandbox.set_faults("early-callback")
    task_id = kie.start_task(callBackUrl=receiver.url)
    assert receiver.received[0].body["data"]["taskId"] == task_id
    assert kie.record_info(task_id)["data"]["successFlag"] == 1


def test_a_late_callback_is_sent_after_its_delay(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    sandbox.set_faults("late-callback:100")
    kie.wait_until_done(kie.start_task(callBackUrl=receiver.url))
    time.sleep(0.2)
    assert receiver.received == []
    sandbox.advance(101)
    receiver.wait()


def test_a_contradicting_callback_follows_the_genuine_one(
    sandbox: SandboxProcess, kie: Kie, receiver: Receiver
) -> None:
    task_id, calls = _receive_callbacks(sandbox, kie, receiver, "fail-after-success", count=2)
    assert [call.body["code"] for call in calls] == [200, 501]
    assert kie.record_info(task_id)["data"]["successFlag"] == 1
    receiver.received.clear()
    task_id, calls = _receive_callbacks(sandbox, kie, receiver, "success-after-fail", count=2)
    assert [call.body["code"] for call in calls] == [422, 200]
    assert kie.record_info(task_id)["data"]["successFlag"] == 3


def test_forged_callbacks_are_sent_besides_the_genuine_one(
    sandbox: SandboxProcess, kie: Kie, receiver: Receiver
) -> None:
    other = kie.start_task()
    orders = ("callback-forged-body", "callback-stranger", "callback-wrong-token")
    task_id, calls = _receive_callbacks(sandbox, kie, receiver, *orders, count=4)
    ids = [call.body["data"]["taskId"] for call in calls]
    assert ids.count(other) == 1
    assert ids.count(task_id) == 2
    assert {call.path for call in calls} == {"/callback/one/token-abcdef/", "/callback/one/token-abAAAA/"}
    forged = next(call.body for call in calls if call.body["data"]["taskId"] == other)
    assert forged["data"]["info"]["resultUrls"] == ["http://169.254.169.254/latest/meta-data/"]
    kinds = {row["kind"] for row in sandbox.wait_for("callback", count=4)}
    assert kinds == {"genuine", "forged", "stranger", "wrong token"}


def test_a_callback_is_sent_to_the_address_of_another_task(
    sandbox: SandboxProcess, kie: Kie, receiver: Receiver
) -> None:
    kie.wait_until_done(kie.start_task(callBackUrl=receiver.url.replace("/one/", "/two/")))
    receiver.wait()
    _, calls = _receive_callbacks(sandbox, kie, receiver, "callback-other-token", count=3)
    assert sorted(call.path for call in calls).count("/callback/two/token-abcdef/") == 2


def test_false_endings_are_sent_while_record_info_still_answers_generating(
    sandbox: SandboxProcess, kie: Kie, receiver: Receiver
) -> None:
    sandbox.settings(times_s=[100, 100, 100])
    sandbox.set_faults("callback-lies-success")
    task_id = kie.start_task(callBackUrl=receiver.url)
    sandbox.advance(65)
    assert receiver.wait()[0].body["code"] == 200
    assert kie.record_info(task_id)["data"]["successFlag"] == 0
    sandbox.set_faults("callback-lies-failure")
    task_id = kie.start_task(callBackUrl=receiver.url)
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
def test_a_callback_has_its_results_in_an_unusual_format(
    sandbox: SandboxProcess, kie: Kie, receiver: Receiver, order: str, urls: str
) -> None:
    _, calls = _receive_callbacks(sandbox, kie, receiver, order)
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
def test_a_callback_has_another_format(
    sandbox: SandboxProcess, kie: Kie, receiver: Receiver, order: str, keys: set[str]
) -> None:
    _, calls = _receive_callbacks(sandbox, kie, receiver, order)
    body = calls[0].body
    assert set(body.get("data", body)) == keys


def test_a_callback_has_another_code_and_message(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    orders = (
        "callback-unknown-code:799",
        "callback-message-key",
        "callback-msg:Veo3.1 视频生成成功。",
        "callback-prompt-object",
    )
    _, calls = _receive_callbacks(sandbox, kie, receiver, *orders)
    body = calls[0].body
    assert (body["code"], body["message"]) == (799, "Veo3.1 视频生成成功。")
    assert body["data"]["promptJson"]["prompt"] == "A cat"


def test_signatures_are_bad_stale_missing_or_replayed(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    sandbox.settings(hmac_key="secret")
    _, calls = _receive_callbacks(sandbox, kie, receiver, "bad-signature")
    assert not is_signed(calls[-1], "secret")
    _, calls = _receive_callbacks(sandbox, kie, receiver, "stale-signature:7200", count=2)
    assert is_signed(calls[-1], "secret")
    assert time.time() - int(calls[-1].headers["X-Webhook-Timestamp"]) > 7000
    _, calls = _receive_callbacks(sandbox, kie, receiver, "no-signature", count=3)
    assert "X-Webhook-Signature" not in calls[-1].headers
    _, calls = _receive_callbacks(sandbox, kie, receiver, "replayed-signature", count=5)
    genuine, replayed = calls[-2:]
    assert genuine.headers["X-Webhook-Signature"] == replayed.headers["X-Webhook-Signature"]
    assert (genuine.body["code"], replayed.body["code"]) == (200, 501)


def test_bodies_are_malformed_in_turn_or_by_name(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    _, calls = _receive_callbacks(sandbox, kie, receiver, "callback-malformed:bad-utf8")
    with pytest.raises(UnicodeDecodeError):
        calls[0].raw.decode()
    for kind in ("bad-json", "content-type", "deep", "nan", "duplicate-keys", "empty", "array"):
        receiver.received.clear()
        _receive_callbacks(sandbox, kie, receiver, f"callback-malformed:{kind}")
    kinds = [row["kind"] for row in sandbox.wait_for("callback", count=8)]
    assert len(set(kinds)) == 8
    receiver.received.clear()
    _receive_callbacks(sandbox, kie, receiver, "callback-malformed")
    assert sandbox.wait_for("callback", count=9)[-1]["kind"].startswith("malformed ")


def test_bodies_are_large_slow_or_endless(sandbox: SandboxProcess, kie: Kie, receiver: Receiver) -> None:
    _, calls = _receive_callbacks(sandbox, kie, receiver, "callback-big:2")
    assert len(calls[0].raw) > 2 * 1024 * 1024
    _, calls = _receive_callbacks(sandbox, kie, receiver, "callback-slow:0.001", count=2)
    assert calls[1].headers["Transfer-Encoding"] == "chunked"
    _, calls = _receive_callbacks(sandbox, kie, receiver, "callback-endless", count=3)
    assert calls[2].headers["Transfer-Encoding"] == "chunked"
    row = sandbox.wait_for("callback", count=3)[2]
    assert row["status"] == 200 or row["error"]

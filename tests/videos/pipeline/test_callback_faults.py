"""What may go wrong with the provider's calls (faults.md B). The sandbox calls a real web server."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from urllib.parse import urlsplit

import pytest
import requests
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError
from django.test import RequestFactory
from pytest_django import Settings

from accounts.models import User
from accounts.seams import clock
from tests.videos.world import PROMPT, World
from videos.models import CallbackReceipt, VideoTask
from videos.pipeline import callbacks, dispatch
from videos.providers.kie.client import sign_callback
from videos.worker import sweep

HMAC_KEY = "test-webhook-hmac-key"


def called(world: World, task: VideoTask, *, times: int = 1) -> list[CallbackReceipt]:
    """Wait until so many callbacks came for the task."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        receipts = list(task.callbacks.order_by("id"))
        if sum(receipt.times for receipt in receipts) >= times:
            return receipts
        time.sleep(0.05)
    raise AssertionError(f"no callback came: {world.sandbox.read_state()['events']}")


def post(task: VideoTask, token: str, body: bytes, **headers: str) -> requests.Response:
    """A call by a stranger on a task's address."""
    headers = {"Content-Type": "application/json", **headers}
    return requests.post(dispatch.build_callback_url(task.pk, token), data=body, headers=headers, timeout=10)


@pytest.fixture
def token(called_world: World, alice: User, monkeypatch: pytest.MonkeyPatch) -> str:
    """The secret that the next task will get."""
    secret = "t" * 43
    monkeypatch.setattr("accounts.seams.randomness.token", lambda: secret)
    return secret


def body_for(provider_task_id: str, code: int = 200, url: str = "https://example.com/video.mp4") -> bytes:
    data = {"taskId": provider_task_id, "info": {"resultUrls": [url]}}
    return json.dumps({"code": code, "msg": "Veo3.1 video generated successfully.", "data": data}).encode()


def test_a_callback_turns_a_video_ready_without_waiting_for_a_poll(called_world: World, alice: User) -> None:
    task = called_world.order(alice)
    called_world.send()
    called_world.sandbox.finish()
    called(called_world, task)
    called_world.ask()
    called_world.save()
    called_world.assert_charged(task)
    assert called_world.now(task).settled_by == "callback"
    assert called_world.now(task).poll_attempts == 1


def test_the_token_is_kept_only_as_a_hash(called_world: World, alice: User, token: str) -> None:
    task = called_world.order(alice)
    called_world.send()
    called_world.sandbox.finish()
    [receipt] = called(called_world, task)
    assert token not in receipt.body
    assert token not in str(VideoTask.objects.filter(pk=task.pk).values().get())


@pytest.mark.parametrize("fault", ["drop-answer", "reset-mid-answer", "html-502:accepted", "no-task-id"])
def test_f09_f20_a_lost_answer_is_found_again_by_its_callback_and_paid_once(
    called_world: World, alice: User, fault: str
) -> None:
    called_world.sandbox.set_faults(fault)
    task = called_world.order(alice)
    called_world.send()
    assert called_world.now(task).status == "unconfirmed"
    called_world.sandbox.finish()
    called(called_world, task)
    called_world.ask()
    called_world.save()
    called_world.assert_charged(task)
    assert "adopted" in called_world.kinds(task)
    assert called_world.submissions() == 1


def test_f20_a_worker_killed_before_it_stored_the_answer_is_healed_by_the_callback(
    called_world: World, alice: User
) -> None:
    task = called_world.order(alice)
    called_world.kill_at("submit.answered", called_world.send)
    assert called_world.now(task).status == "submitting"
    called_world.sandbox.finish()
    called(called_world, task)
    called_world.later(seconds=121)
    sweep.tidy()
    called_world.ask()
    called_world.save()
    called_world.assert_charged(task)
    assert called_world.submissions() == 1


def test_f26_a_callback_before_the_answer_is_kept_and_not_lost(called_world: World, alice: User) -> None:
    called_world.sandbox.set_faults("early-callback")
    task = called_world.order(alice)
    called_world.send()
    assert called_world.now(task).status == "generating"
    called(called_world, task)
    called_world.run()
    called_world.assert_charged(task)


def test_f27_ten_duplicates_at_once_have_one_effect(called_world: World, alice: User) -> None:
    called_world.sandbox.set_faults("duplicate-callback:10")
    task = called_world.order(alice)
    called_world.send()
    called_world.sandbox.finish()
    [receipt] = called(called_world, task, times=10)
    assert receipt.times == 10
    answers = called_world.sandbox.wait_for("callback", count=10)
    assert {answer["status"] for answer in answers} == {200}
    called_world.ask()
    called_world.save()
    called_world.assert_charged(task)
    assert called_world.kinds(task).count("provider_done") == 1


@pytest.mark.parametrize(
    ("fault", "prompt", "final"),
    [("fail-after-success", PROMPT, "ready"), ("success-after-fail", f"{PROMPT} [fail]", "failed")],
)
def test_f28_record_info_decides_and_final_states_never_flip(
    called_world: World, alice: User, fault: str, prompt: str, final: str
) -> None:
    called_world.sandbox.set_faults(fault)
    task = called_world.order(alice, prompt)
    called_world.send()
    called_world.sandbox.finish()
    called(called_world, task, times=2)
    called_world.run()
    assert called_world.now(task).status == final
    called_world.later(minutes=5)
    called_world.ask()
    assert called_world.now(task).status == final
    if final == "ready":
        called_world.assert_charged(task)
    else:
        called_world.assert_refunded(task)


def test_f29_a_wrong_token_is_not_found_and_touches_no_row(called_world: World, alice: User) -> None:
    called_world.sandbox.set_faults("callback-wrong-token", "stuck-generating")
    task = called_world.order(alice)
    called_world.send()
    before = VideoTask.objects.filter(pk=task.pk).values().get()
    body = body_for(called_world.now(task).provider_task_id or "")
    assert post(task, "w" * 43, body).status_code == 404
    assert post(task, "short", body).status_code == 404
    assert VideoTask.objects.filter(pk=task.pk).values().get() == before
    assert not CallbackReceipt.objects.exists()
    called_world.sandbox.set_faults("callback-wrong-token")
    called_world.sandbox.finish()
    answers = called_world.sandbox.wait_for("callback", count=2)
    assert {answer["status"] for answer in answers} == {200, 404}


def test_f29_who_guesses_is_not_heard_until_the_minute_is_over(called_world: World, alice: User, token: str) -> None:
    task = called_world.order(alice)
    called_world.send()
    right = body_for(called_world.now(task).provider_task_id or "")
    for _ in range(callbacks.WRONG_TOKENS_BY_CLIENT.amount):
        assert post(task, "w" * 43, right).status_code == 404
    assert post(task, "w" * 43, right).status_code == 429
    assert post(task, token, right).status_code == 429
    called_world.later(minutes=1)
    assert post(task, token, right).status_code == 200
    called_world.run()
    called_world.assert_charged(task)


def test_f29_another_tasks_address_touches_neither(called_world: World, alice: User, bob: User) -> None:
    hers, his = called_world.order(alice), called_world.order(bob, "another")
    called_world.send()
    called_world.sandbox.set_faults("callback-other-token")
    called_world.sandbox.finish()
    called(called_world, hers)
    called(called_world, his)
    called_world.run()
    for task in (hers, his):
        called_world.assert_charged(task)
    assert called_world.submissions() == 2


def test_f29_a_task_that_was_never_sent_has_no_address(called_world: World, alice: User) -> None:
    task = called_world.order(alice)
    assert post(task, "a" * 43, b"{}").status_code == 404
    assert not CallbackReceipt.objects.exists()


def test_f30_a_forged_body_on_the_right_address_is_only_a_hint(called_world: World, alice: User, token: str) -> None:
    task = called_world.order(alice)
    called_world.send()
    evil = body_for("f" * 32, url="http://169.254.169.254/latest/meta-data")
    assert post(task, token, evil).status_code == 200
    assert post(task, token, body_for(called_world.now(task).provider_task_id or "", 501)).status_code == 200
    called_world.ask()
    assert called_world.now(task).status == "generating"
    assert not called_world.now(task).files.exists()
    called_world.run()
    called_world.assert_charged(task)


def test_f30_an_unconfirmed_task_is_not_adopted_on_another_prompt(
    called_world: World, alice: User, bob: User, token: str
) -> None:
    foreign = called_world.order(bob, "somebody else's prompt")
    called_world.send()
    foreign_id = called_world.now(foreign).provider_task_id or ""
    called_world.sandbox.set_faults("drop-answer", "no-callback")
    task = called_world.order(alice)
    called_world.send()
    VideoTask.objects.filter(pk=foreign.pk).update(status="failed", finished_at=clock.now())
    assert post(task, token, body_for(foreign_id)).status_code == 200
    called_world.ask()
    assert called_world.now(task).status == "unconfirmed"
    assert task.callbacks.get().verdict == "rejected"


def test_f30_forged_names_neither_delay_nor_drown_the_true_one(called_world: World, alice: User, token: str) -> None:
    called_world.sandbox.set_faults("drop-answer", "no-callback")
    task = called_world.order(alice)
    called_world.send()
    assert called_world.now(task).status == "unconfirmed"
    forged = [post(task, token, body_for(f"{number:032x}")).status_code for number in range(callbacks.MAX_PER_TASK)]
    assert set(forged) == {200}
    called_world.sandbox.finish()
    true_name = called_world.sandbox.list_accepted()[0]["task_id"]
    assert post(task, token, body_for(true_name)).status_code == 503, "what cannot be kept is not taken"
    called_world.ask()
    called_world.later(minutes=11)
    called_world.ask()
    assert set(task.callbacks.values_list("verdict", flat=True)) == {"rejected"}
    assert post(task, token, body_for("e" * 32)).status_code == 200
    assert post(task, token, body_for(true_name)).status_code == 200
    called_world.ask()
    called_world.save()
    called_world.assert_charged(task)
    assert called_world.submissions() == 1


@pytest.mark.parametrize("kind", ["changed body", "stale", "unsigned", "garbage"])
def test_f31_a_callback_without_a_fresh_signature_has_no_effect(
    called_world: World, alice: User, token: str, settings: Settings, kind: str
) -> None:
    settings.KIE_AI_WEBHOOK_HMAC_KEY = HMAC_KEY
    task = called_world.order(alice)
    called_world.send()
    provider_id = called_world.now(task).provider_task_id or ""
    at = int(clock.now().timestamp()) - (3600 if kind == "stale" else 0)
    headers = {
        "X-Webhook-Timestamp": str(at),
        "X-Webhook-Signature": sign_callback(HMAC_KEY, provider_id, at),
    }
    if kind == "unsigned":
        headers = {}
    if kind == "garbage":
        headers["X-Webhook-Signature"] = "é\u0000".encode().decode("latin-1").replace("\x00", "")
    named = "f" * 32 if kind == "changed body" else provider_id
    due_before = called_world.now(task).due_at
    assert post(task, token, body_for(named), **headers).status_code == 401
    assert called_world.now(task).due_at == due_before
    assert called_world.alerts("bad_signature")


def test_f31_a_rightly_signed_callback_is_heard(
    called_world: World, alice: User, token: str, settings: Settings
) -> None:
    settings.KIE_AI_WEBHOOK_HMAC_KEY = HMAC_KEY
    called_world.sandbox.settings(hmac_key=HMAC_KEY)
    task = called_world.order(alice)
    called_world.send()
    called_world.sandbox.finish()
    [receipt] = called(called_world, task)
    assert receipt.signed
    called_world.run()
    called_world.assert_charged(task)


def test_f32_a_large_body_is_cut_at_64_kib(called_world: World, alice: User, token: str) -> None:
    task = called_world.order(alice)
    called_world.send()
    assert post(task, token, b"x" * (callbacks.MAX_BODY_BYTES + 1)).status_code == 413
    assert not task.callbacks.exists()


def test_f32_a_slow_body_holds_gunicorns_thread_for_a_moment_only(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "BODY_TIMEOUT_S", 0.5)
    caller, line = socket.socketpair()
    with caller, line, line.makefile("rb") as received:
        caller.sendall(b'{"data": ')
        request = RequestFactory().post("/api/veo/callback", b"", content_type="application/json")
        slow = WSGIRequest(
            {**request.environ, "CONTENT_LENGTH": "60000", "wsgi.input": received, "gunicorn.socket": line}
        )
        began = time.monotonic()
        answer = callbacks.common_callback(slow)
        assert time.monotonic() - began < 5
    assert answer.status_code == 400
    assert CallbackReceipt.objects.get().body == '{"data": '


@pytest.mark.parametrize(("spaces", "status"), [(0, 200), (callbacks.MAX_BODY_BYTES, 413)])
def test_f32_a_chunked_body_is_read_up_to_the_same_limit(db: None, spaces: int, status: int) -> None:
    body = body_for("a" * 32) + b" " * spaces
    request = RequestFactory().post("/api/veo/callback", b"", content_type="application/json")
    environ = {**request.environ, "wsgi.input": BytesIO(body), "wsgi.input_terminated": True}
    assert callbacks.common_callback(WSGIRequest(environ)).status_code == status
    assert CallbackReceipt.objects.count() == (1 if status == 200 else 0)


def test_f33_a_chunk_that_is_none_is_garbage(db: None) -> None:
    class Nonsense(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise RuntimeError("invalid chunk size")

    request = RequestFactory().post("/api/veo/callback", b"", content_type="application/json")
    environ = {**request.environ, "wsgi.input": Nonsense(), "wsgi.input_terminated": True}
    assert callbacks.common_callback(WSGIRequest(environ)).status_code == 400


def test_f32_a_body_without_a_length_is_not_waited_for(called_world: World, alice: User, token: str) -> None:
    task = called_world.order(alice)
    called_world.send()
    address = urlsplit(dispatch.build_callback_url(task.pk, token))
    with socket.create_connection((address.hostname, address.port or 80), timeout=5) as stream:
        stream.sendall(f"POST {address.path} HTTP/1.1\r\nHost: testserver\r\nContent-Length: -5\r\n\r\n".encode())
        answer = stream.recv(200)
    assert b" 413 " in answer or b" 400 " in answer


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"null", "application/json"),
        (b"[1]", "application/json"),
        (b"\xff\xfe\x00", "application/json"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "application/json"),
        (b'{"code": NaN, "data": {}}', "application/json"),
        (b'{"data": {"taskId": 5}}', "application/json"),
        (b'{"data": {"taskId": "a\\u0000b"}}', "application/json"),
        (b"taskId=1", "application/x-www-form-urlencoded"),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--', "multipart/form-data; boundary=x"),
        (b"{}", "text/plain; charset=no-such-charset"),
    ],
)
def test_f33_garbage_is_kept_as_malformed_and_leads_to_one_look(
    called_world: World, alice: User, token: str, body: bytes, content_type: str
) -> None:
    task = called_world.order(alice)
    called_world.send()
    answer = post(task, token, body, **{"Content-Type": content_type})
    assert answer.status_code == 400
    assert task.callbacks.get().verdict == "malformed"
    assert called_world.now(task).due_at <= clock.now()
    called_world.run()
    called_world.assert_charged(task)


@pytest.mark.parametrize("kind", ["empty", "null", "absent"])
def test_f34_success_without_a_file_is_asked_about_and_then_refunded_with_an_alert(
    called_world: World, alice: User, kind: str
) -> None:
    called_world.sandbox.set_faults(f"success-no-urls:{kind}", "callback-empty-urls")
    task = called_world.order(alice)
    called_world.send()
    called_world.sandbox.finish()
    called(called_world, task)
    called_world.ask()
    assert called_world.now(task).status == "generating"
    for _ in range(40):
        called_world.later(minutes=1)
        called_world.ask()
    called_world.assert_refunded(task)
    assert called_world.now(task).failure_code == "no_file"
    assert called_world.alerts("odd_answer")


def test_f34_a_file_that_comes_after_all_is_delivered(called_world: World, alice: User) -> None:
    called_world.sandbox.set_faults("success-no-urls", "callback-null-urls")
    task = called_world.order(alice)
    called_world.send()
    called_world.sandbox.finish()
    called(called_world, task)
    called_world.ask()
    called_world.sandbox.set_faults()
    called_world.later(minutes=2)
    called_world.run()
    called_world.assert_charged(task)


@pytest.mark.parametrize("fault", ["unknown-flag:7", "callback-unknown-code:777"])
def test_f35_an_unknown_verdict_is_not_final(called_world: World, alice: User, fault: str) -> None:
    called_world.sandbox.set_faults(fault)
    task = called_world.order(alice)
    called_world.send()
    called_world.sandbox.finish()
    called(called_world, task)
    called_world.ask()
    if fault.startswith("unknown-flag"):
        assert called_world.now(task).status == "generating"
        assert called_world.alerts("odd_answer")
    called_world.sandbox.set_faults()
    called_world.later(minutes=2)
    called_world.run()
    called_world.assert_charged(task)


def test_f36_a_callback_while_the_database_is_away_is_503_and_polling_finishes(
    called_world: World, alice: User, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = called_world.order(alice)
    called_world.send()
    provider_id = called_world.now(task).provider_task_id or ""

    def away(*args: object, **kwargs: object) -> None:
        raise DatabaseError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "_receive", away)
        assert post(task, token, body_for(provider_id)).status_code == 503
    called_world.sandbox.set_faults("no-callback")
    called_world.later(minutes=1)
    called_world.run(rounds=20)
    called_world.assert_charged(task)
    assert called_world.now(task).settled_by == "poll"


def test_f38_a_callback_for_no_task_of_ours_is_kept_and_told(called_world: World, alice: User) -> None:
    address = dispatch.build_callback_url(VideoTask().pk, "z" * 43)
    assert requests.post(address, data=body_for("a" * 32), timeout=5).status_code == 404
    common = address.partition("/api/veo/callback")[0] + "/api/veo/callback"
    headers = {"Content-Type": "application/json"}
    assert requests.post(common, data=body_for("a" * 32), headers=headers, timeout=5).status_code == 200
    assert CallbackReceipt.objects.get().verdict == "orphan"
    assert called_world.alerts("orphan_callback")


def test_f39_a_callback_that_claims_success_too_early_changes_nothing(called_world: World, alice: User) -> None:
    called_world.sandbox.set_faults("callback-lies-success")
    called_world.sandbox.settings(times_s=[600, 600, 600])
    task = called_world.order(alice)
    called_world.send()
    called_world.sandbox.advance(301)
    called(called_world, task)
    called_world.ask()
    assert called_world.now(task).status == "generating"
    called_world.run()
    called_world.assert_charged(task)


def test_a_late_callback_of_a_refunded_task_delivers_free(called_world: World, alice: User, token: str) -> None:
    called_world.sandbox.set_faults("drop-answer", "no-callback")
    task = called_world.order(alice)
    called_world.send()
    called_world.later(minutes=61)
    called_world.ask()
    called_world.assert_refunded(task)
    called_world.sandbox.finish()
    [provider_id] = [row["task_id"] for row in called_world.sandbox.list_accepted()]
    assert post(task, token, body_for(provider_id)).status_code == 200
    called_world.ask()
    called_world.save()
    called_world.assert_refunded(task)
    late = called_world.now(task)
    assert late.status == "failed"
    assert late.is_delivered
    assert called_world.alerts("late_result")
    assert called_world.spent(task) == ("settled", "price_list")


def test_a_flood_of_different_callbacks_keeps_the_inbox_bounded(called_world: World, alice: User, token: str) -> None:
    task = called_world.order(alice)
    called_world.send()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: post(task, token, body_for(f"{number:032x}")).status_code, range(60)))
    assert set(answers) == {200}
    assert task.callbacks.count() <= callbacks.MAX_PER_TASK + 4


def test_the_inbox_counts_a_get_as_wrong(called_world: World, alice: User, token: str) -> None:
    task = called_world.order(alice)
    called_world.send()
    assert requests.get(dispatch.build_callback_url(task.pk, token), timeout=5).status_code == 405

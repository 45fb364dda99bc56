"""What callbacks lead to when they arrive normally, early, late, twice, in the wrong order or never (faults.md B)."""

import pytest
import requests
from django.db import DatabaseError

from accounts.models import User
from tests.videos.pipeline.callback_calls import make_body, post_callback, wait_for_callbacks
from tests.videos.world import PROMPT, World
from videos.models import CallbackReceipt, VideoTask
from videos.pipeline import callbacks, dispatch
from videos.worker import sweep


def test_a_callback_makes_a_video_ready_before_its_next_poll(world_with_callbacks: World, alice: User) -> None:
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    world_with_callbacks.sandbox.finish()
    wait_for_callbacks(world_with_callbacks, task)
    world_with_callbacks.poll()
    world_with_callbacks.download()
    world_with_callbacks.assert_charged(task)
    assert world_with_callbacks.reload(task).settled_by == "callback"
    assert world_with_callbacks.reload(task).poll_attempts == 1


def test_the_token_is_kept_only_as_a_hash(world_with_callbacks: World, alice: User, token: str) -> None:
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    world_with_callbacks.sandbox.finish()
    [receipt] = wait_for_callbacks(world_with_callbacks, task)
    assert token not in receipt.body
    assert token not in str(VideoTask.objects.filter(pk=task.pk).values().get())


@pytest.mark.parametrize("fault", ["drop-answer", "reset-mid-answer", "html-502:accepted", "no-task-id"])
def test_f09_f20_a_lost_response_is_replaced_by_the_callback_and_paid_once(
    world_with_callbacks: World, alice: User, fault: str
) -> None:
    world_with_callbacks.sandbox.set_faults(fault)
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    assert world_with_callbacks.reload(task).status == "unconfirmed"
    world_with_callbacks.sandbox.finish()
    wait_for_callbacks(world_with_callbacks, task)
    world_with_callbacks.poll()
    world_with_callbacks.download()
    world_with_callbacks.assert_charged(task)
    assert "adopted" in world_with_callbacks.event_kinds(task)
    assert world_with_callbacks.count_submissions() == 1


def test_f20_a_callback_repairs_a_task_whose_worker_died_before_storing_the_response(
    world_with_callbacks: World, alice: User
) -> None:
    task = world_with_callbacks.order(alice)
    world_with_callbacks.kill_at("submit.answered", world_with_callbacks.send)
    assert world_with_callbacks.reload(task).status == "submitting"
    world_with_callbacks.sandbox.finish()
    wait_for_callbacks(world_with_callbacks, task)
    world_with_callbacks.advance(seconds=121)
    sweep.tidy()
    world_with_callbacks.poll()
    world_with_callbacks.download()
    world_with_callbacks.assert_charged(task)
    assert world_with_callbacks.count_submissions() == 1


def test_f26_a_callback_before_the_response_is_stored_and_used(world_with_callbacks: World, alice: User) -> None:
    world_with_callbacks.sandbox.set_faults("early-callback")
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    assert world_with_callbacks.reload(task).status == "generating"
    wait_for_callbacks(world_with_callbacks, task)
    world_with_callbacks.run()
    world_with_callbacks.assert_charged(task)


def test_f27_ten_simultaneous_duplicates_have_one_effect(world_with_callbacks: World, alice: User) -> None:
    world_with_callbacks.sandbox.set_faults("duplicate-callback:10")
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    world_with_callbacks.sandbox.finish()
    [receipt] = wait_for_callbacks(world_with_callbacks, task, times=10)
    assert receipt.times == 10
    callbacks_sent = world_with_callbacks.sandbox.wait_for("callback", count=10)
    assert {sent["status"] for sent in callbacks_sent} == {200}
    world_with_callbacks.poll()
    world_with_callbacks.download()
    world_with_callbacks.assert_charged(task)
    assert world_with_callbacks.event_kinds(task).count("provider_done") == 1


@pytest.mark.parametrize(
    ("fault", "prompt", "final"),
    [("fail-after-success", PROMPT, "ready"), ("success-after-fail", f"{PROMPT} [fail]", "failed")],
)
def test_f28_record_info_decides_and_final_statuses_never_change(
    world_with_callbacks: World, alice: User, fault: str, prompt: str, final: str
) -> None:
    world_with_callbacks.sandbox.set_faults(fault)
    task = world_with_callbacks.order(alice, prompt)
    world_with_callbacks.send()
    world_with_callbacks.sandbox.finish()
    wait_for_callbacks(world_with_callbacks, task, times=2)
    world_with_callbacks.run()
    assert world_with_callbacks.reload(task).status == final
    world_with_callbacks.advance(minutes=5)
    world_with_callbacks.poll()
    assert world_with_callbacks.reload(task).status == final
    if final == "ready":
        world_with_callbacks.assert_charged(task)
    else:
        world_with_callbacks.assert_refunded(task)


@pytest.mark.parametrize("kind", ["empty", "null", "absent"])
def test_f34_success_without_a_file_is_polled_and_then_refunded_with_an_alert(
    world_with_callbacks: World, alice: User, kind: str
) -> None:
    world_with_callbacks.sandbox.set_faults(f"success-no-urls:{kind}", "callback-empty-urls")
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    world_with_callbacks.sandbox.finish()
    wait_for_callbacks(world_with_callbacks, task)
    world_with_callbacks.poll()
    assert world_with_callbacks.reload(task).status == "generating"
    for _ in range(40):
        world_with_callbacks.advance(minutes=1)
        world_with_callbacks.poll()
    world_with_callbacks.assert_refunded(task)
    assert world_with_callbacks.reload(task).failure_code == "no_file"
    assert world_with_callbacks.list_alerts("odd_answer")


def test_f34_a_file_that_appears_later_is_delivered(world_with_callbacks: World, alice: User) -> None:
    world_with_callbacks.sandbox.set_faults("success-no-urls", "callback-null-urls")
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    world_with_callbacks.sandbox.finish()
    wait_for_callbacks(world_with_callbacks, task)
    world_with_callbacks.poll()
    world_with_callbacks.sandbox.set_faults()
    world_with_callbacks.advance(minutes=2)
    world_with_callbacks.run()
    world_with_callbacks.assert_charged(task)


@pytest.mark.parametrize("fault", ["unknown-flag:7", "callback-unknown-code:777"])
def test_f35_an_unknown_verdict_is_not_final(world_with_callbacks: World, alice: User, fault: str) -> None:
    world_with_callbacks.sandbox.set_faults(fault)
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    world_with_callbacks.sandbox.finish()
    wait_for_callbacks(world_with_callbacks, task)
    world_with_callbacks.poll()
    if fault.startswith("unknown-flag"):
        assert world_with_callbacks.reload(task).status == "generating"
        assert world_with_callbacks.list_alerts("odd_answer")
    world_with_callbacks.sandbox.set_faults()
    world_with_callbacks.advance(minutes=2)
    world_with_callbacks.run()
    world_with_callbacks.assert_charged(task)


def test_f36_a_callback_while_the_database_is_unavailable_gets_503_and_polling_finishes(
    world_with_callbacks: World, alice: User, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    provider_id = world_with_callbacks.reload(task).provider_task_id or ""

    def fail(*args: object, **kwargs: object) -> None:
        raise DatabaseError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "_receive", fail)
        assert post_callback(task, token, make_body(provider_id)).status_code == 503
    world_with_callbacks.sandbox.set_faults("no-callback")
    world_with_callbacks.advance(minutes=1)
    world_with_callbacks.run(rounds=20)
    world_with_callbacks.assert_charged(task)
    assert world_with_callbacks.reload(task).settled_by == "poll"


def test_f38_a_callback_for_an_unknown_task_is_stored_and_raises_an_alert(
    world_with_callbacks: World, alice: User
) -> None:
    address = dispatch.build_callback_url(VideoTask().pk, "z" * 43)
    assert requests.post(address, data=make_body("a" * 32), timeout=5).status_code == 404
    common = address.partition("/api/veo/callback")[0] + "/api/veo/callback"
    headers = {"Content-Type": "application/json"}
    assert requests.post(common, data=make_body("a" * 32), headers=headers, timeout=5).status_code == 200
    assert CallbackReceipt.objects.get().verdict == "orphan"
    assert world_with_callbacks.list_alerts("orphan_callback")


def test_f39_a_callback_that_claims_success_too_early_changes_nothing(world_with_callbacks: World, alice: User) -> None:
    world_with_callbacks.sandbox.set_faults("callback-lies-success")
    world_with_callbacks.sandbox.settings(times_s=[600, 600, 600])
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    world_with_callbacks.sandbox.advance(301)
    wait_for_callbacks(world_with_callbacks, task)
    world_with_callbacks.poll()
    assert world_with_callbacks.reload(task).status == "generating"
    world_with_callbacks.run()
    world_with_callbacks.assert_charged(task)


def test_a_late_callback_of_a_refunded_task_delivers_free(world_with_callbacks: World, alice: User, token: str) -> None:
    world_with_callbacks.sandbox.set_faults("drop-answer", "no-callback")
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    world_with_callbacks.advance(minutes=61)
    world_with_callbacks.poll()
    world_with_callbacks.assert_refunded(task)
    world_with_callbacks.sandbox.finish()
    [provider_id] = [row["task_id"] for row in world_with_callbacks.sandbox.list_accepted()]
    assert post_callback(task, token, make_body(provider_id)).status_code == 200
    world_with_callbacks.poll()
    world_with_callbacks.download()
    world_with_callbacks.assert_refunded(task)
    late = world_with_callbacks.reload(task)
    assert late.status == "failed"
    assert late.is_delivered
    assert world_with_callbacks.list_alerts("late_result")
    assert world_with_callbacks.spend_state(task) == ("settled", "price_list")

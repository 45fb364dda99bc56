"""Callbacks that are forged, unsigned, too large, slow or malformed (faults.md B)."""

import pytest
from pytest_django import Settings

from accounts import rate_limits
from accounts.models import User
from accounts.seams import clock
from tests.videos.pipeline.callback_calls import make_body, post_callback, wait_for_callbacks
from tests.videos.world import World
from videos.models import CallbackReceipt, VideoTask
from videos.pipeline import callbacks
from videos.providers.kie.client import sign_callback

HMAC_KEY = "test-webhook-hmac-key"


def test_f29_a_wrong_token_is_not_found_and_changes_no_row(world_with_callbacks: World, alice: User) -> None:
    world_with_callbacks.sandbox.set_faults("callback-wrong-token", "stuck-generating")
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    before = VideoTask.objects.filter(pk=task.pk).values().get()
    body = make_body(world_with_callbacks.reload(task).provider_task_id or "")
    assert post_callback(task, "w" * 43, body).status_code == 404
    assert post_callback(task, "short", body).status_code == 404
    assert VideoTask.objects.filter(pk=task.pk).values().get() == before
    assert not CallbackReceipt.objects.exists()
    world_with_callbacks.sandbox.set_faults("callback-wrong-token")
    world_with_callbacks.sandbox.finish()
    callbacks_sent = world_with_callbacks.sandbox.wait_for("callback", count=2)
    assert {sent["status"] for sent in callbacks_sent} == {200, 404}


def test_f29_a_client_that_guesses_addresses_is_blocked_for_a_minute(
    world_with_callbacks: World, alice: User, token: str
) -> None:
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    body = make_body(world_with_callbacks.reload(task).provider_task_id or "")
    for _ in range(rate_limits.WRONG_CALLBACK_TOKENS.amount):
        assert post_callback(task, "w" * 43, body).status_code == 404
    assert post_callback(task, "w" * 43, body).status_code == 429
    assert post_callback(task, token, body).status_code == 429
    world_with_callbacks.advance(minutes=1)
    assert post_callback(task, token, body).status_code == 200
    world_with_callbacks.run()
    world_with_callbacks.assert_charged(task)


def test_f29_a_callback_on_another_tasks_address_changes_neither_task(
    world_with_callbacks: World, alice: User, bob: User
) -> None:
    alices_task, bobs_task = world_with_callbacks.order(alice), world_with_callbacks.order(bob, "another")
    world_with_callbacks.send()
    world_with_callbacks.sandbox.set_faults("callback-other-token")
    world_with_callbacks.sandbox.finish()
    wait_for_callbacks(world_with_callbacks, alices_task)
    wait_for_callbacks(world_with_callbacks, bobs_task)
    world_with_callbacks.run()
    for task in (alices_task, bobs_task):
        world_with_callbacks.assert_charged(task)
    assert world_with_callbacks.count_submissions() == 2


def test_f29_a_task_that_was_never_sent_has_no_address(world_with_callbacks: World, alice: User) -> None:
    task = world_with_callbacks.order(alice)
    assert post_callback(task, "a" * 43, b"{}").status_code == 404
    assert not CallbackReceipt.objects.exists()


def test_f30_a_forged_body_on_the_right_address_is_only_a_hint(
    world_with_callbacks: World, alice: User, token: str
) -> None:
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    forged = make_body("f" * 32, url="http://169.254.169.254/latest/meta-data")
    assert post_callback(task, token, forged).status_code == 200
    assert (
        post_callback(task, token, make_body(world_with_callbacks.reload(task).provider_task_id or "", 501)).status_code
        == 200
    )
    world_with_callbacks.poll()
    assert world_with_callbacks.reload(task).status == "generating"
    assert not world_with_callbacks.reload(task).files.exists()
    world_with_callbacks.run()
    world_with_callbacks.assert_charged(task)


def test_f30_an_unconfirmed_task_is_not_adopted_on_another_prompt(
    world_with_callbacks: World, alice: User, bob: User, token: str
) -> None:
    bobs_task = world_with_callbacks.order(bob, "somebody else's prompt")
    world_with_callbacks.send()
    bobs_provider_id = world_with_callbacks.reload(bobs_task).provider_task_id or ""
    world_with_callbacks.sandbox.set_faults("drop-answer", "no-callback")
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    VideoTask.objects.filter(pk=bobs_task.pk).update(status="failed", finished_at=clock.now())
    assert post_callback(task, token, make_body(bobs_provider_id)).status_code == 200
    world_with_callbacks.poll()
    assert world_with_callbacks.reload(task).status == "unconfirmed"
    assert task.callbacks.get().verdict == "rejected"


def test_f30_forged_ids_neither_delay_nor_displace_the_true_one(
    world_with_callbacks: World, alice: User, token: str
) -> None:
    world_with_callbacks.sandbox.set_faults("drop-answer", "no-callback")
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    assert world_with_callbacks.reload(task).status == "unconfirmed"
    statuses = [
        post_callback(task, token, make_body(f"{number:032x}")).status_code for number in range(callbacks.MAX_PER_TASK)
    ]
    assert set(statuses) == {200}
    world_with_callbacks.sandbox.finish()
    true_id = world_with_callbacks.sandbox.list_accepted()[0]["task_id"]
    assert post_callback(task, token, make_body(true_id)).status_code == 503, (
        "a callback that cannot be stored is not accepted"
    )
    world_with_callbacks.poll()
    world_with_callbacks.advance(minutes=11)
    world_with_callbacks.poll()
    assert set(task.callbacks.values_list("verdict", flat=True)) == {"rejected"}
    assert post_callback(task, token, make_body("e" * 32)).status_code == 200
    assert post_callback(task, token, make_body(true_id)).status_code == 200
    world_with_callbacks.poll()
    world_with_callbacks.download()
    world_with_callbacks.assert_charged(task)
    assert world_with_callbacks.count_submissions() == 1


@pytest.mark.parametrize("kind", ["changed body", "stale", "unsigned", "garbage"])
def test_f31_a_callback_without_a_fresh_signature_has_no_effect(
    world_with_callbacks: World, alice: User, token: str, settings: Settings, kind: str
) -> None:
    settings.KIE_AI_WEBHOOK_HMAC_KEY = HMAC_KEY
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    provider_id = world_with_callbacks.reload(task).provider_task_id or ""
    at = int(clock.now().timestamp()) - (3600 if kind == "stale" else 0)
    headers = {
        "X-Webhook-Timestamp": str(at),
        "X-Webhook-Signature": sign_callback(HMAC_KEY, provider_id, at),
    }
    if kind == "unsigned":
        headers = {}
    if kind == "garbage":
        headers["X-Webhook-Signature"] = "é\u0000".encode().decode("latin-1").replace("\x00", "")
    provider_id_in_body = "f" * 32 if kind == "changed body" else provider_id
    due_before = world_with_callbacks.reload(task).due_at
    assert post_callback(task, token, make_body(provider_id_in_body), **headers).status_code == 401
    assert world_with_callbacks.reload(task).due_at == due_before
    assert world_with_callbacks.list_alerts("bad_signature")


def test_f31_a_correctly_signed_callback_is_accepted(
    world_with_callbacks: World, alice: User, token: str, settings: Settings
) -> None:
    settings.KIE_AI_WEBHOOK_HMAC_KEY = HMAC_KEY
    world_with_callbacks.sandbox.settings(hmac_key=HMAC_KEY)
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    world_with_callbacks.sandbox.finish()
    [receipt] = wait_for_callbacks(world_with_callbacks, task)
    assert receipt.signed
    world_with_callbacks.run()
    world_with_callbacks.assert_charged(task)

"""Faults between the charge and the provider's acceptance: sent once, requeued or refunded (faults.md A)."""

import pytest

from accounts.models import User
from accounts.seams import clock
from billing.credits import ledger
from billing.models import PaidCall, ProviderAccount, ProviderOutcome, Spend
from tests.people import give_credits
from tests.videos.world import World
from videos.models import VideoTask
from videos.ordering import orders
from videos.ordering.orders import VideoOrder
from videos.pipeline import balances as provider_balances
from videos.pipeline import dispatch
from videos.pipeline.clients import client_for
from videos.worker import sweep


def test_a_prompt_becomes_a_paid_video(world: World, alice: User) -> None:
    task = world.order(alice)
    world.run()
    world.assert_charged(task)
    assert world.count_submissions() == 1
    assert world.spend_state(task) == ("settled", "price_list")
    assert world.event_kinds(task) == ["charged", "claimed", "accepted", "provider_done", "stored", "ready"]
    assert world.reload(task).files.get().sha256 in {row["sha256"] for row in world.sandbox.events("served")}


def test_f05_a_crash_before_the_charge_commits_leaves_nothing(world: World, alice: User) -> None:
    give_credits(alice, 60)
    order = VideoOrder(prompt="a kite")
    world.kill_at("create.charged", lambda: orders.create(user=alice, order=order, idempotency_key="k"))
    assert not VideoTask.objects.exists()
    assert not Spend.objects.exists()
    assert ledger.balance_of(alice) == 60
    assert [entry.kind for entry in ledger.statement(alice)] == ["grant"]


def test_f06_the_sweep_sends_a_video_whose_job_was_never_enqueued(world: World, alice: User) -> None:
    give_credits(alice, 60)
    order = VideoOrder(prompt="a kite")
    world.kill_at("create.committed", lambda: orders.create(user=alice, order=order, idempotency_key="k"))
    task = VideoTask.objects.get()
    assert task.status == "queued"
    assert "dispatch" in sweep.enqueue_due()
    world.run()
    world.assert_charged(task)


def test_f07_a_worker_killed_after_the_claim_leaves_it_unconfirmed_and_it_is_refunded_after_an_hour(
    world: World, alice: User
) -> None:
    task = world.order(alice)
    world.kill_at("submit.claimed", world.send)
    assert world.reload(task).status == "submitting"
    world.advance(seconds=121)
    sweep.tidy()
    assert world.reload(task).status == "unconfirmed"
    world.send()
    world.advance(minutes=61)
    world.poll()
    world.assert_refunded(task)
    assert world.count_submissions() == 0
    assert world.spend_state(task) == ("settled", "possible")
    assert world.list_alerts("possible_spend")


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "https://127.0.0.1:1", "http://no-such-host.invalid"])
def test_f08_an_unsent_request_returns_to_the_queue(world: World, alice: User, address: str, settings: object) -> None:
    task = world.order(alice)
    world.send()  # reads the balance while the provider can be reached
    task = world.order(alice, "second")
    ProviderAccount.objects.update(base_url=address)
    account = ProviderAccount.objects.get()
    claim = dispatch.claim_next(account.pk)
    assert isinstance(claim, dispatch.Claim)
    dispatch.submit(claim, client_for(account))
    after = world.reload(task)
    assert (after.status, after.wait_code) == ("queued", "not_sent")
    assert after.due_at > clock.now()
    assert world.event_kinds(task)[-1] == "requeued"
    assert Spend.objects.get(job_id=task.pk).state == Spend.State.ESTIMATED


def test_f08_a_requeued_task_is_sent_again_and_paid_once(world: World, alice: User) -> None:
    task = world.order(alice)
    world.sandbox.set_faults("code-455=1")
    world.send()
    assert world.reload(task).status == "queued"
    world.advance(minutes=5)
    world.run()
    world.assert_charged(task)
    assert world.count_submissions() == 1
    assert list(PaidCall.objects.order_by("id").values_list("outcome", flat=True)) == ["not_sent", "accepted"]


def test_f10_an_accepted_task_whose_response_and_callbacks_are_lost_is_refunded_and_recorded(
    world: World, alice: User
) -> None:
    world.sandbox.set_faults("drop-answer", "no-callback")
    task = world.order(alice)
    world.send()
    assert world.reload(task).status == "unconfirmed"
    world.poll()
    assert not world.list_alerts("unconfirmed")
    world.advance(minutes=16)
    world.poll()
    assert [alert.reference for alert in world.list_alerts("unconfirmed")] == [task.reference]
    assert world.reload(task).status == "unconfirmed"
    world.advance(minutes=45)
    world.poll()
    world.assert_refunded(task)
    world.send()
    assert world.count_submissions() == 1
    assert world.spend_state(task) == ("settled", "possible")
    assert Spend.objects.get(job_id=task.pk).actual == 60
    assert world.list_alerts("possible_spend")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("reset-mid-answer", id="f11-reset"),
        pytest.param("truncated-json", id="f11-truncated"),
        pytest.param("html-502", id="f12-502"),
        pytest.param("html-504:accepted", id="f12-504"),
        pytest.param("code-500-no-id", id="f17-500"),
        pytest.param("code-501-no-id:accepted", id="f17-501"),
        pytest.param("no-task-id", id="f19-none"),
        pytest.param("number-task-id", id="f19-number"),
        pytest.param("null-task-id", id="f19-null"),
        pytest.param("odd-code:799", id="f19-odd-code"),
        pytest.param("drop-request", id="f10-dropped"),
    ],
)
def test_f11_f12_f17_f19_an_unusable_response_makes_it_unconfirmed_and_never_sent_again(
    world: World, alice: User, fault: str
) -> None:
    world.sandbox.set_faults(fault)
    task = world.order(alice)
    world.send()
    assert world.reload(task).status == "unconfirmed"
    world.advance(minutes=5)
    world.send()
    world.poll()
    assert world.reload(task).status == "unconfirmed"
    assert world.sandbox.read_state()["requests"]["POST /api/v1/veo/generate"] == 1
    assert Spend.objects.get(job_id=task.pk).state == Spend.State.PROMISED
    assert PaidCall.objects.get().outcome == "unconfirmed"


def test_f19_a_response_with_the_id_of_another_order_is_unconfirmed(world: World, alice: User) -> None:
    first = world.order(alice)
    world.send()
    world.sandbox.set_faults("repeated-task-id")
    second = world.order(alice, "another prompt")
    world.send()
    assert world.reload(first).status == "generating"
    assert world.reload(second).status == "unconfirmed"
    assert world.reload(second).provider_task_id is None


@pytest.mark.parametrize("fault", ["code-402", "code-433", "credits-500", "credits-500:http"])
def test_f13_out_of_provider_credits_blocks_the_queue_and_no_video_fails(world: World, alice: User, fault: str) -> None:
    world.sandbox.set_faults(fault)
    task = world.order(alice)
    world.send()
    assert world.reload(task).status == "queued"
    assert ProviderAccount.objects.get().parked_as == "out_of_credits"
    assert world.list_alerts("out_of_credits")
    world.advance(minutes=1)
    world.send()
    assert world.reload(task).status == "queued"
    world.sandbox.set_faults()
    world.advance(minutes=5)
    provider_balances.read_all()
    world.run()
    world.assert_charged(task)
    assert not [alert for alert in world.list_alerts("out_of_credits") if alert.resolved_at is None]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("code-422", "invalid"), ("code-400-policy", "content_policy"), ("code-451", "image_unreachable")],
)
def test_f14_a_refused_prompt_fails_and_is_refunded_with_a_reason(
    world: World, alice: User, fault: str, reason: str
) -> None:
    world.sandbox.set_faults(fault)
    task = world.order(alice)
    world.send()
    world.assert_refunded(task)
    assert world.reload(task).failure_code == reason
    assert world.reload(task).failure_detail
    assert world.spend_state(task) == ("settled", "not_spent")
    assert not ProviderOutcome.objects.filter(is_ok=False).exists()

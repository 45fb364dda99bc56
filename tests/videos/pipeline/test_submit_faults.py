"""What may go wrong between the charge and the provider's acceptance (faults.md A)."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from pytest_django import Settings

from accounts.models import User
from accounts.seams import clock
from billing.costs import spend
from billing.credits import ledger
from billing.guard.checks import Wait
from billing.models import PaidCall, ProviderAccount, ProviderOutcome, Spend
from billing.provider import accounts as provider_accounts
from tests.people import give_credits
from tests.videos.world import World
from videos.lifecycle import acts as lifecycle
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
    assert world.submissions() == 1
    assert world.spent(task) == ("settled", "price_list")
    assert world.kinds(task) == ["charged", "claimed", "accepted", "provider_done", "stored", "ready"]
    assert world.now(task).files.get().sha256 in {row["sha256"] for row in world.sandbox.events("served")}


def test_f05_a_crash_before_the_charge_commits_leaves_nothing(world: World, alice: User) -> None:
    give_credits(alice, 60)
    order = VideoOrder(prompt="a kite")
    world.kill_at("create.charged", lambda: orders.create(user=alice, order=order, idempotency_key="k"))
    assert not VideoTask.objects.exists()
    assert not Spend.objects.exists()
    assert ledger.balance_of(alice) == 60
    assert [entry.kind for entry in ledger.statement(alice)] == ["grant"]


def test_f06_a_crash_after_the_charge_and_before_the_bell_is_healed_by_the_sweep(world: World, alice: User) -> None:
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
    assert world.now(task).status == "submitting"
    world.later(seconds=121)
    sweep.tidy()
    assert world.now(task).status == "unconfirmed"
    world.send()
    world.later(minutes=61)
    world.ask()
    world.assert_refunded(task)
    assert world.submissions() == 0
    assert world.spent(task) == ("settled", "possible")
    assert world.alerts("possible_spend")


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "https://127.0.0.1:1", "http://no-such-host.invalid"])
def test_f08_what_was_never_sent_goes_back_to_the_queue(
    world: World, alice: User, address: str, settings: object
) -> None:
    task = world.order(alice)
    world.send()  # reads the balance while the provider is there
    task = world.order(alice, "second")
    ProviderAccount.objects.update(base_url=address)
    account = ProviderAccount.objects.get()
    claim = dispatch.claim_next(account.pk)
    assert isinstance(claim, dispatch.Claim)
    dispatch.submit(claim, client_for(account))
    after = world.now(task)
    assert (after.status, after.wait_code) == ("queued", "not_sent")
    assert after.due_at > clock.now()
    assert world.kinds(task)[-1] == "requeued"
    assert Spend.objects.get(job_id=task.pk).state == Spend.State.ESTIMATED


def test_f08_a_requeued_task_is_sent_again_and_paid_once(world: World, alice: User) -> None:
    task = world.order(alice)
    world.sandbox.set_faults("code-455=1")
    world.send()
    assert world.now(task).status == "queued"
    world.later(minutes=5)
    world.run()
    world.assert_charged(task)
    assert world.submissions() == 1
    assert list(PaidCall.objects.order_by("id").values_list("outcome", flat=True)) == ["not_sent", "accepted"]


def test_f10_an_accepted_task_whose_answer_and_callbacks_are_lost_is_refunded_and_recorded(
    world: World, alice: User
) -> None:
    world.sandbox.set_faults("drop-answer", "no-callback")
    task = world.order(alice)
    world.send()
    assert world.now(task).status == "unconfirmed"
    world.ask()
    assert not world.alerts("unconfirmed")
    world.later(minutes=16)
    world.ask()
    assert [alert.reference for alert in world.alerts("unconfirmed")] == [task.reference]
    assert world.now(task).status == "unconfirmed"
    world.later(minutes=45)
    world.ask()
    world.assert_refunded(task)
    world.send()
    assert world.submissions() == 1
    assert world.spent(task) == ("settled", "possible")
    assert Spend.objects.get(job_id=task.pk).actual == 60
    assert world.alerts("possible_spend")


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
def test_f11_f12_f17_f19_an_unusable_answer_is_unconfirmed_and_never_sent_again(
    world: World, alice: User, fault: str
) -> None:
    world.sandbox.set_faults(fault)
    task = world.order(alice)
    world.send()
    assert world.now(task).status == "unconfirmed"
    world.later(minutes=5)
    world.send()
    world.ask()
    assert world.now(task).status == "unconfirmed"
    assert world.sandbox.read_state()["requests"]["POST /api/v1/veo/generate"] == 1
    assert Spend.objects.get(job_id=task.pk).state == Spend.State.PROMISED
    assert PaidCall.objects.get().outcome == "unconfirmed"


def test_f19_an_answer_that_names_another_tasks_id_is_unconfirmed(world: World, alice: User) -> None:
    first = world.order(alice)
    world.send()
    world.sandbox.set_faults("repeated-task-id")
    second = world.order(alice, "another prompt")
    world.send()
    assert world.now(first).status == "generating"
    assert world.now(second).status == "unconfirmed"
    assert world.now(second).provider_task_id is None


@pytest.mark.parametrize("fault", ["code-402", "code-433", "credits-500", "credits-500:http"])
def test_f13_out_of_provider_credits_parks_the_queue_and_no_user_sees_failed(
    world: World, alice: User, fault: str
) -> None:
    world.sandbox.set_faults(fault)
    task = world.order(alice)
    world.send()
    assert world.now(task).status == "queued"
    assert ProviderAccount.objects.get().parked_as == "out_of_credits"
    assert world.alerts("out_of_credits")
    world.later(minutes=1)
    world.send()
    assert world.now(task).status == "queued"
    world.sandbox.set_faults()
    world.later(minutes=5)
    provider_balances.read_all()
    world.run()
    world.assert_charged(task)
    assert not [alert for alert in world.alerts("out_of_credits") if alert.resolved_at is None]


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
    assert world.now(task).failure_code == reason
    assert world.now(task).failure_detail
    assert world.spent(task) == ("settled", "not_spent")
    assert not ProviderOutcome.objects.filter(is_ok=False).exists()


@pytest.mark.parametrize("fault", ["code-429", "http-429"])
def test_f15_a_rate_limit_waits_at_least_one_window_and_then_longer(world: World, alice: User, fault: str) -> None:
    world.sandbox.set_faults(fault)
    task = world.order(alice)
    world.send()
    first = world.now(task)
    assert (first.status, first.wait_code) == ("queued", "rate_limited")
    assert first.wait_until is not None
    assert first.wait_until - clock.now() >= timedelta(seconds=10)
    for _ in range(60):
        world.later(seconds=10)
        world.send()
    assert world.now(task).submit_attempts <= 6
    world.sandbox.set_faults()
    world.later(minutes=20)
    world.run()
    world.assert_charged(task)


@pytest.mark.parametrize("fault", ["code-455", "code-505", "html-502"])
def test_f16_the_breaker_opens_within_five_calls_and_closes_by_a_probe(
    world: World, alice: User, settings: Settings, fault: str
) -> None:
    settings.MAX_CONCURRENT_PER_USER = 12
    settings.MAX_CONCURRENT_VIDEOS = 12
    world.sandbox.set_faults(fault)
    for number in range(12):
        world.order(alice, f"prompt {number}")
    for _ in range(10):
        world.send()
        world.later(seconds=1)
    calls = world.sandbox.read_state()["requests"]["POST /api/v1/veo/generate"]
    assert calls <= settings.BREAKER_FAILURES
    assert ProviderAccount.objects.get().breaker == "open"
    assert world.alerts("provider_trouble")
    world.sandbox.set_faults()
    world.later(minutes=20)
    account = ProviderAccount.objects.get()
    assert provider_balances.read(account, client_for(account)).balance is not None
    probe = dispatch.claim_next(account.pk)
    second = dispatch.claim_next(account.pk)
    assert isinstance(probe, dispatch.Claim)
    assert isinstance(second, Wait), "one probe alone"
    assert second.code == "breaker"
    dispatch.submit(probe, client_for(account))
    assert ProviderAccount.objects.get().breaker == "closed"
    assert world.send() >= 2


def test_f16_verdicts_that_go_on_coming_do_not_close_the_breaker(world: World, alice: User, settings: Settings) -> None:
    settings.MAX_CONCURRENT_PER_USER = 12
    running = world.order(alice)
    world.send()
    world.sandbox.set_faults("code-455", "stuck-generating")
    for number in range(12):
        world.order(alice, f"prompt {number}")
    for _ in range(12):
        world.send()
        VideoTask.objects.filter(pk=running.pk).update(due_at=clock.now())
        world.ask()
        world.later(seconds=1)
    calls = world.sandbox.read_state()["requests"]["POST /api/v1/veo/generate"]
    assert calls - 1 <= settings.BREAKER_FAILURES
    assert ProviderAccount.objects.get().breaker == "open"


@pytest.mark.parametrize("fault", ["code-429", "code-402", "code-401"])
def test_f16_a_probe_that_is_answered_in_words_closes_the_breaker(world: World, alice: User, fault: str) -> None:
    world.order(alice)
    world.send()
    rested = clock.now() - timedelta(seconds=1)
    ProviderAccount.objects.update(breaker="open", breaker_opened=3, breaker_until=rested)
    world.sandbox.set_faults(fault)
    probe = world.order(alice, "the probe")
    world.send()
    assert world.now(probe).status == "queued"
    assert ProviderAccount.objects.get().breaker == "closed"


@pytest.mark.parametrize("fault", ["code-401", "http-401", "code-404"])
def test_f18_a_revoked_key_parks_the_queue(
    world: World, alice: User, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.sandbox.set_faults(fault)
    task = world.order(alice)
    world.send()
    assert world.now(task).status == "queued"
    assert ProviderAccount.objects.get().parked_as == "access_denied"
    assert [alert.severity for alert in world.alerts("access_denied")] == ["critical"]
    assert world.sandbox.api_key not in world.alerts("access_denied")[0].detail
    assert f"Bearer {world.sandbox.api_key}" not in caplog.text


def test_f21_of_two_workers_with_the_same_nudge_one_sends(world: World, alice: User) -> None:
    task = world.order(alice)
    world.send()
    account = provider_accounts.get_current_account()
    assert dispatch.claim_next(account.pk) is None
    assert lifecycle.claim(task_id=task.pk, account_id=account.pk, token_hash="x") is None
    assert world.submissions() == 1


def test_f21_the_database_refuses_a_second_live_call_for_one_spend(world: World, alice: User) -> None:
    task = world.order(alice)
    world.send()
    row = Spend.objects.get(job_id=task.pk)
    account = ProviderAccount.objects.get()
    with pytest.raises(spend.NotEstimated), transaction.atomic():
        spend.promise(spend=row, account=account)
    with pytest.raises(IntegrityError), transaction.atomic():
        PaidCall.objects.create(spend=row, account=account, started_at=clock.now())


def test_f22_a_worker_that_wakes_after_its_lease_changes_nothing(world: World, alice: User) -> None:
    task = world.order(alice)
    world.kill_at("submit.claimed", world.send)
    stale = world.now(task)
    world.later(seconds=121)
    sweep.tidy()
    world.later(minutes=61)
    world.ask()
    world.assert_refunded(task)
    assert not lifecycle.accept(task_id=task.pk, fence=stale.fence, provider_task_id="a" * 32, due_in_s=1)
    assert not lifecycle.refuse(task_id=task.pk, fence=stale.fence, reason="invalid", detail="")
    world.assert_refunded(task)


def test_f22_a_worker_that_sleeps_between_claim_and_request_sends_nothing_for_a_refunded_task(
    world: World, alice: User
) -> None:
    task = world.order(alice)
    account = provider_accounts.get_current_account()
    assert provider_balances.read(account, client_for(account)).balance is not None
    claim = dispatch.claim_next(account.pk)
    assert isinstance(claim, dispatch.Claim)
    world.later(seconds=121)
    sweep.tidy()
    world.later(minutes=61)
    world.ask()
    world.assert_refunded(task)
    dispatch.submit(claim, client_for(account))
    assert world.sandbox.read_state()["requests"].get("POST /api/v1/veo/generate", 0) == 0
    world.assert_refunded(task)


def test_f22_a_worker_that_wakes_before_anybody_noticed_gives_its_claim_back(world: World, alice: User) -> None:
    task = world.order(alice)
    account = provider_accounts.get_current_account()
    assert provider_balances.read(account, client_for(account)).balance is not None
    claim = dispatch.claim_next(account.pk)
    assert isinstance(claim, dispatch.Claim)
    world.later(seconds=121)
    dispatch.submit(claim, client_for(account))
    assert world.now(task).status == "queued"
    world.run()
    world.assert_charged(task)
    assert world.submissions() == 1


def test_f23_the_balance_falls_to_zero_in_a_batch_and_nobody_is_told_failed(world: World, alice: User) -> None:
    world.sandbox.set_faults("balance-runs-out:2")
    tasks = [world.order(alice, f"prompt {number}") for number in range(5)]
    for _ in range(6):
        world.send()
        world.sandbox.finish()
        world.later(seconds=20)
        world.ask()
        world.save()
    statuses = sorted(world.now(task).status for task in tasks)
    assert statuses == ["queued", "queued", "queued", "ready", "ready"]
    world.sandbox.set_faults()
    world.sandbox.balance(5000)
    world.later(minutes=3)
    provider_balances.read_all()
    world.run()
    for task in tasks:
        world.assert_charged(task)
    assert world.submissions() == 5


def test_f25_a_paid_request_is_sent_once_whatever_the_answer(world: World, alice: User) -> None:
    world.sandbox.set_faults("http-500")
    world.order(alice)
    world.send()
    assert world.sandbox.read_state()["requests"]["POST /api/v1/veo/generate"] == 1

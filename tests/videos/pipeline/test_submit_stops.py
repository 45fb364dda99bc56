"""Submission with rate limits, the circuit breaker, revoked keys and competing workers (faults.md A)."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from pytest_django import Settings

from accounts.models import User
from accounts.seams import clock
from billing.costs import spend
from billing.guard.checks import Wait
from billing.models import PaidCall, ProviderAccount, Spend
from billing.provider import accounts as provider_accounts
from tests.videos.world import World
from videos.lifecycle import status_changes as lifecycle
from videos.models import VideoTask
from videos.pipeline import balances as provider_balances
from videos.pipeline import dispatch
from videos.pipeline.clients import client_for
from videos.worker import sweep


@pytest.mark.parametrize("fault", ["code-429", "http-429"])
def test_f15_a_rate_limit_waits_at_least_one_window_and_then_longer(world: World, alice: User, fault: str) -> None:
    world.sandbox.set_faults(fault)
    task = world.order(alice)
    world.send()
    first = world.reload(task)
    assert (first.status, first.wait_code) == ("queued", "rate_limited")
    assert first.wait_until is not None
    assert first.wait_until - clock.now() >= timedelta(seconds=10)
    for _ in range(60):
        world.advance(seconds=10)
        world.send()
    assert world.reload(task).submit_attempts <= 6
    world.sandbox.set_faults()
    world.advance(minutes=20)
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
        world.advance(seconds=1)
    calls = world.sandbox.read_state()["requests"]["POST /api/v1/veo/generate"]
    assert calls <= settings.BREAKER_FAILURES
    assert ProviderAccount.objects.get().breaker == "open"
    assert world.list_alerts("provider_trouble")
    world.sandbox.set_faults()
    world.advance(minutes=20)
    account = ProviderAccount.objects.get()
    assert provider_balances.read(account, client_for(account)).balance is not None
    probe = dispatch.claim_next(account.pk)
    second = dispatch.claim_next(account.pk)
    assert isinstance(probe, dispatch.Claim)
    assert isinstance(second, Wait), "only one probe is sent"
    assert second.code == "breaker"
    dispatch.submit(probe, client_for(account))
    assert ProviderAccount.objects.get().breaker == "closed"
    assert world.send() >= 2


def test_f16_verdicts_of_running_videos_do_not_close_the_breaker(world: World, alice: User, settings: Settings) -> None:
    settings.MAX_CONCURRENT_PER_USER = 12
    running = world.order(alice)
    world.send()
    world.sandbox.set_faults("code-455", "stuck-generating")
    for number in range(12):
        world.order(alice, f"prompt {number}")
    for _ in range(12):
        world.send()
        VideoTask.objects.filter(pk=running.pk).update(due_at=clock.now())
        world.poll()
        world.advance(seconds=1)
    calls = world.sandbox.read_state()["requests"]["POST /api/v1/veo/generate"]
    assert calls - 1 <= settings.BREAKER_FAILURES
    assert ProviderAccount.objects.get().breaker == "open"


@pytest.mark.parametrize("fault", ["code-429", "code-402", "code-401"])
def test_f16_a_probe_with_a_definite_response_closes_the_breaker(world: World, alice: User, fault: str) -> None:
    world.order(alice)
    world.send()
    open_until = clock.now() - timedelta(seconds=1)
    ProviderAccount.objects.update(breaker="open", breaker_opened=3, breaker_until=open_until)
    world.sandbox.set_faults(fault)
    probe = world.order(alice, "the probe")
    world.send()
    assert world.reload(probe).status == "queued"
    assert ProviderAccount.objects.get().breaker == "closed"


@pytest.mark.parametrize("fault", ["code-401", "http-401", "code-404"])
def test_f18_a_revoked_key_blocks_the_queue(
    world: World, alice: User, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.sandbox.set_faults(fault)
    task = world.order(alice)
    world.send()
    assert world.reload(task).status == "queued"
    assert ProviderAccount.objects.get().parked_as == "access_denied"
    assert [alert.severity for alert in world.list_alerts("access_denied")] == ["critical"]
    assert world.sandbox.api_key not in world.list_alerts("access_denied")[0].detail
    assert f"Bearer {world.sandbox.api_key}" not in caplog.text


def test_f21_of_two_workers_with_the_same_job_one_sends(world: World, alice: User) -> None:
    task = world.order(alice)
    world.send()
    account = provider_accounts.get_current_account()
    assert dispatch.claim_next(account.pk) is None
    assert lifecycle.claim(task_id=task.pk, account_id=account.pk, token_hash="x") is None
    assert world.count_submissions() == 1


def test_f21_the_database_refuses_a_second_live_call_for_one_spend(world: World, alice: User) -> None:
    task = world.order(alice)
    world.send()
    row = Spend.objects.get(job_id=task.pk)
    account = ProviderAccount.objects.get()
    with pytest.raises(spend.NotEstimated), transaction.atomic():
        spend.promise(spend=row, account=account)
    with pytest.raises(IntegrityError), transaction.atomic():
        PaidCall.objects.create(spend=row, account=account, started_at=clock.now())


def test_f22_a_worker_that_resumes_after_its_lease_changes_nothing(world: World, alice: User) -> None:
    task = world.order(alice)
    world.kill_at("submit.claimed", world.send)
    claimed = world.reload(task)
    world.advance(seconds=121)
    sweep.tidy()
    world.advance(minutes=61)
    world.poll()
    world.assert_refunded(task)
    assert not lifecycle.accept(task_id=task.pk, fence=claimed.fence, provider_task_id="a" * 32, due_in_s=1)
    assert not lifecycle.refuse(task_id=task.pk, fence=claimed.fence, reason="invalid", detail="")
    world.assert_refunded(task)


def test_f22_a_worker_suspended_before_the_request_sends_nothing_for_a_refunded_task(world: World, alice: User) -> None:
    task = world.order(alice)
    account = provider_accounts.get_current_account()
    assert provider_balances.read(account, client_for(account)).balance is not None
    claim = dispatch.claim_next(account.pk)
    assert isinstance(claim, dispatch.Claim)
    world.advance(seconds=121)
    sweep.tidy()
    world.advance(minutes=61)
    world.poll()
    world.assert_refunded(task)
    dispatch.submit(claim, client_for(account))
    assert world.sandbox.read_state()["requests"].get("POST /api/v1/veo/generate", 0) == 0
    world.assert_refunded(task)


def test_f22_a_worker_that_resumes_unnoticed_returns_its_claim(world: World, alice: User) -> None:
    task = world.order(alice)
    account = provider_accounts.get_current_account()
    assert provider_balances.read(account, client_for(account)).balance is not None
    claim = dispatch.claim_next(account.pk)
    assert isinstance(claim, dispatch.Claim)
    world.advance(seconds=121)
    dispatch.submit(claim, client_for(account))
    assert world.reload(task).status == "queued"
    world.run()
    world.assert_charged(task)
    assert world.count_submissions() == 1


def test_f23_when_the_balance_reaches_zero_in_a_batch_no_video_fails(world: World, alice: User) -> None:
    world.sandbox.set_faults("balance-runs-out:2")
    tasks = [world.order(alice, f"prompt {number}") for number in range(5)]
    for _ in range(6):
        world.send()
        world.sandbox.finish()
        world.advance(seconds=20)
        world.poll()
        world.download()
    statuses = sorted(world.reload(task).status for task in tasks)
    assert statuses == ["queued", "queued", "queued", "ready", "ready"]
    world.sandbox.set_faults()
    world.sandbox.balance(5000)
    world.advance(minutes=3)
    provider_balances.read_all()
    world.run()
    for task in tasks:
        world.assert_charged(task)
    assert world.count_submissions() == 5


def test_f25_a_paid_request_is_sent_once_whatever_the_response(world: World, alice: User) -> None:
    world.sandbox.set_faults("http-500")
    world.order(alice)
    world.send()
    assert world.sandbox.read_state()["requests"]["POST /api/v1/veo/generate"] == 1

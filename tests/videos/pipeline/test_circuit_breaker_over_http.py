"""The circuit breaker with a failing provider: it stops paid calls, then tests with one free and one paid call."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import connections
from pytest_django import Settings

from accounts.models import User
from billing.guard import circuit_breaker
from billing.models import ProviderAccount, ProviderOutcome
from billing.provider import accounts as provider_accounts
from tests.people import make_person
from tests.sandbox import SandboxProcess
from tests.videos.world import AdjustableClock, World
from videos.models import VideoTask
from videos.ordering import availability

GENERATE, CREDIT = "POST /api/v1/veo/generate", "GET /api/v1/chat/credit"


def count_requests(world: World, path: str) -> int:
    return int(world.sandbox.read_state()["requests"].get(path, 0))


def account() -> ProviderAccount:
    return ProviderAccount.objects.get()


@pytest.fixture(autouse=True)
def _high_concurrency_limits(settings: Settings) -> None:
    settings.MAX_CONCURRENT_VIDEOS = settings.MAX_CONCURRENT_PER_USER = 30


def test_f16_the_probe_reads_the_balance_first_and_then_sends_one_video(world: World, alice: User) -> None:
    for number in range(12):
        world.order(alice, f"prompt {number}")
    world.sandbox.set_faults("html-502")
    world.send()
    assert (count_requests(world, GENERATE), account().breaker) == (5, "open")
    restriction = availability.check_availability(user=alice, quote=None).restriction
    assert restriction is not None
    assert (restriction.title, restriction.accepts_orders) == ("The provider has problems", True)

    # The breaker may probe, but the balance call fails: no paid call is sent, and it stays open longer.
    world.sandbox.set_faults("html-502", "credit-http:500")
    first_open_until = account().breaker_until
    world.advance(seconds=40)
    calls_before = count_requests(world, CREDIT)
    assert world.send() == 0
    assert (count_requests(world, GENERATE), count_requests(world, CREDIT)) == (5, calls_before + 1)
    assert (account().breaker, account().breaker_opened) == ("open", 2)
    second_open_until = account().breaker_until
    assert first_open_until is not None
    assert second_open_until is not None
    assert second_open_until > first_open_until

    # The balance call succeeds, the probe fails: one paid call, no more.
    world.sandbox.set_faults("html-502")
    world.advance(seconds=70)
    world.send()
    assert (count_requests(world, GENERATE), account().breaker_opened) == (6, 3)

    # The probe succeeds and closes it, and the others follow in the same job.
    world.sandbox.set_faults()
    world.advance(seconds=140)
    assert world.send() == 6
    assert (account().breaker, account().breaker_opened) == ("closed", 0)
    assert availability.check_availability(user=alice, quote=None).restriction is None
    assert not [alert for alert in world.list_alerts("provider_trouble") if alert.resolved_at is None]


def test_during_a_pause_the_open_breaker_makes_one_free_call_only(world: World, alice: User) -> None:
    for number in range(6):
        world.order(alice, f"prompt {number}")
    world.sandbox.set_faults("html-502")
    world.send()
    world.sandbox.set_faults()
    provider_accounts.pause_account(account_id=account().pk, actor=alice, reason="a look at the costs")
    world.advance(seconds=40)
    calls_before = count_requests(world, CREDIT)
    for _ in range(5):
        assert world.send() == 0
    assert count_requests(world, CREDIT) == calls_before + 1
    provider_accounts.resume_account(account_id=account().pk)
    assert world.send() == 1
    assert account().breaker == "closed"


@pytest.mark.parametrize("fault", ["code-422", "code-400-policy", "code-451", "code-402", "code-429"])
def test_refusals_and_missing_credits_never_open_the_breaker(world: World, alice: User, fault: str) -> None:
    world.sandbox.set_faults(fault)
    for number in range(8):
        world.order(alice, f"prompt {number}")
    for _ in range(8):
        world.send()
        world.advance(seconds=31)
    assert account().breaker == "closed"
    assert not ProviderOutcome.objects.filter(is_ok=False).exists()


def test_failing_polls_open_the_breaker_too(world: World, alice: User) -> None:
    for number in range(5):
        world.order(alice, f"prompt {number}")
    world.send()
    world.sandbox.set_faults("record-http:500")
    world.advance(minutes=2)
    world.poll()
    assert account().breaker == "open"
    assert set(ProviderOutcome.objects.filter(is_ok=False).values_list("call", flat=True)) == {"poll"}
    assert VideoTask.objects.filter(status="generating").count() == 5


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_f16_jobs_that_overlap_send_no_more_failing_calls_than_one(
    at_sandbox: SandboxProcess, adjustable_clock: AdjustableClock, settings: Settings
) -> None:
    world = World(at_sandbox, adjustable_clock)
    settings.JOB_THREADS = 8
    settings.HOURLY_COST_LIMIT = Decimal(0)
    for number in range(30):
        world.order(make_person(f"user{number}@example.com"), f"prompt {number}")
    at_sandbox.set_faults("html-502", "latency:300")

    def job(_: int) -> None:
        try:
            world.send()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as workers:
        list(workers.map(job, range(8)))
    assert count_requests(world, GENERATE) <= settings.BREAKER_FAILURES
    assert ProviderOutcome.objects.filter(call=circuit_breaker.Call.PAID, is_ok=False).count() == count_requests(
        world, GENERATE
    )
    assert account().breaker == "open"
    assert VideoTask.objects.filter(status="queued").count() == 30 - count_requests(world, GENERATE)

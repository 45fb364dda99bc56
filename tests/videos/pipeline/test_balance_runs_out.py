"""The provider's balance runs out in the middle of a batch: videos wait, none is lost, and a top-up lets them continue.

The jobs run as in a worker, one at a time, whenever the sweep enqueues them; only the clock is moved.
"""

import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db.models import F
from django.test import Client
from django.utils import translation
from pytest_django import Settings

from accounts.models import User
from accounts.seams import clock
from billing.audit import runner as audit_runner
from billing.credits import ledger
from billing.guard import checks as guard_checks
from billing.models import Alert, ProviderAccount, Spend
from billing.provider import accounts as provider_accounts
from tests.people import make_person
from tests.sandbox import SandboxProcess
from tests.stack import Stack, wait_until
from tests.videos.world import PRICE, World
from videos.models import JobRequest, TaskEvent, VideoTask
from videos.presentation import progress
from videos.worker import sweep
from videos.worker import tasks as worker_tasks

BATCH = 20


@pytest.fixture(autouse=True)
def _wide_limits(settings: Settings) -> object:
    """Only the balance limits sending."""
    settings.HOURLY_COST_LIMIT = settings.DAILY_COST_LIMIT = settings.MONTHLY_COST_LIMIT = Decimal(0)
    settings.MAX_CONCURRENT_VIDEOS, settings.MAX_CONCURRENT_PER_USER = 6, 3
    settings.FIRST_POLL_AT_MOST_S = 5
    with translation.override("en"):
        yield


@pytest.fixture
def batch(world: World) -> list[VideoTask]:
    """Twenty videos of four users, charged and waiting."""
    users = [make_person(f"{name}@example.com") for name in ("ann", "ben", "cy", "dee")]
    return [world.order(users[number % 4], f"Video number {number}") for number in range(BATCH)]


def run_jobs(world: World, *, seconds: int, until: Callable[[], bool] | None = None) -> float:
    """Run due jobs for `seconds`, or until the condition holds, and fail if it never does; returns the seconds passed."""
    for elapsed_s in range(0, seconds, 5):
        if until is not None and until():
            return elapsed_s
        sweep.enqueue_due()
        for request in JobRequest.objects.filter(requested_at__isnull=False).exclude(started_at__gte=F("requested_at")):
            getattr(worker_tasks, request.name)()
        world.sandbox.finish()
        world.advance(seconds=5)
        if VideoTask.objects.filter(wait_code="rate_limited").exists():
            # The sandbox's rate window lasts real seconds, while our clock runs ahead.
            time.sleep(1)
    assert until is None or until(), f"the condition did not become true within {seconds} s"
    return seconds


def statuses(batch: list[VideoTask]) -> Counter[str]:
    return Counter(VideoTask.objects.filter(pk__in=[task.pk for task in batch]).values_list("status", flat=True))


def account() -> ProviderAccount:
    return provider_accounts.get_current_account()


def open_alerts() -> set[str]:
    return set(Alert.objects.filter(resolved_at=None).values_list("kind", flat=True))


def all_ready(batch: list[VideoTask]) -> Callable[[], bool]:
    return lambda: statuses(batch) == {"ready": BATCH}


def assert_no_video_failed(batch: list[VideoTask]) -> None:
    assert set(statuses(batch)) <= {"queued", "submitting", "generating", "downloading", "ready"}
    kinds = set(TaskEvent.objects.values_list("kind", flat=True))
    assert not kinds & {"failed", "refused", "refunded", "cancelled", "unconfirmed"}


def assert_all_ready_and_paid_once(world: World, batch: list[VideoTask]) -> None:
    assert statuses(batch) == {"ready": BATCH}
    assert_no_video_failed(batch)
    for task in batch:
        world.assert_charged(task)
    for user in User.objects.filter(pk__in={task.user_id for task in batch}):
        assert ledger.balance_of(user) == 0
        assert [entry.amount for entry in ledger.statement(user).filter(kind="charge")] == [-PRICE] * 5
    prompts = [row["body"]["prompt"] for row in world.sandbox.list_accepted()]
    assert sorted(prompts) == sorted(task.prompt for task in batch), "according to the sandbox, each was sent once"
    charged = sum(Decimal(row["charged"]) for row in world.sandbox.list_accepted())
    spends = Spend.objects.filter(job_id__in=[task.pk for task in batch])
    assert sum(row.actual for row in spends if row.actual is not None) == charged == BATCH * PRICE
    assert {row.state for row in spends} == {"settled"}
    assert [str(problem) for problem in audit_runner.find_problems()] == []


@pytest.mark.parametrize("fault", ["", "code-433", "credits-500:http"])
def test_f23_a_batch_waits_for_a_top_up_and_then_continues(
    world: World, batch: list[VideoTask], client: Client, fault: str
) -> None:
    if fault:
        run_jobs(world, seconds=60, until=lambda: world.count_submissions() >= 7)
    # The balance runs out after our last reading, so only the provider's refusal shows it.
    world.sandbox.set_faults(fault or "balance-runs-out:7")
    run_jobs(world, seconds=60, until=lambda: account().parked_as == "out_of_credits")
    world.sandbox.balance(30)
    sent = world.count_submissions()
    run_jobs(world, seconds=120)
    accepted = statuses(batch)["ready"]
    assert statuses(batch) == {"ready": accepted, "queued": BATCH - accepted}
    assert 7 <= sent == accepted == world.count_submissions() < BATCH, "accepted videos are finished, the others wait"
    refused = world.sandbox.events("submission", accepted=False)
    assert len(refused) == 1, "one refusal is enough"
    assert_no_video_failed(batch)
    assert "out_of_credits" in open_alerts()
    assert [alert.severity for alert in world.list_alerts("out_of_credits")] == ["critical"]

    # Users read why their videos wait, and a new order is refused before the charge.
    waiting = VideoTask.objects.filter(status="queued").earliest("created_at")
    assert (
        progress.measure_progress(waiting, at=clock.now()).wait_reason
        == "the operator has to top up the provider account"
    )
    assert progress.measure_progress(waiting, at=clock.now()).starts_in_s is None
    client.force_login(waiting.user)
    assert "Waiting videos continue automatically, and nothing is lost." in client.get("/").text
    with pytest.raises(guard_checks.ProviderUnavailable):
        world.order(waiting.user, "one more")
    ledger.adjust(
        user=waiting.user, user_credits=-PRICE, note="for the refused order", actor=None, idempotency_key="back"
    )

    world.sandbox.set_faults()
    world.sandbox.balance(5000)
    took_s = run_jobs(
        world, seconds=120, until=lambda: account().parked_as == "" and world.count_submissions() > accepted
    )
    assert took_s <= 60, "soon after the top-up, without action by an operator"
    # Our clock runs ahead of the sandbox's, whose rate limit may delay some videos.
    run_jobs(world, seconds=1800, until=all_ready(batch))
    assert_all_ready_and_paid_once(world, batch)
    assert not open_alerts() & {"out_of_credits", "critical_balance", "low_balance", "access_denied"}
    assert Decimal(world.sandbox.balance()) == 5000 - (BATCH - accepted) * PRICE


def test_f23_our_own_reading_stops_sending_at_the_critical_balance(
    world: World, batch: list[VideoTask], settings: Settings
) -> None:
    world.sandbox.balance(980)
    run_jobs(world, seconds=90)
    assert world.count_submissions() == 8
    assert Decimal(world.sandbox.balance()) == settings.CRITICAL_BALANCE_THRESHOLD
    assert statuses(batch) == {"ready": 8, "queued": 12}
    assert world.sandbox.events("submission", accepted=False) == [], "the provider refuses nothing"
    assert {"low_balance", "critical_balance"} <= open_alerts()
    assert account().parked_as == ""
    assert provider_accounts.get_available_balance(account()) == 500
    assert_no_video_failed(batch)
    waiting = VideoTask.objects.filter(status="queued").earliest("created_at")
    assert (
        progress.measure_progress(waiting, at=clock.now()).wait_reason
        == "the operator has to top up the provider account"
    )

    world.sandbox.balance(5000)
    took_s = run_jobs(world, seconds=60, until=lambda: world.count_submissions() > 8)
    assert took_s <= 20
    # Our clock runs ahead of the sandbox's, whose rate limit may delay some videos.
    run_jobs(world, seconds=1800, until=all_ready(batch))
    assert_all_ready_and_paid_once(world, batch)
    assert not open_alerts() & {"critical_balance", "low_balance"}


def test_a_small_top_up_sends_as_many_videos_as_it_pays_for(
    world: World, batch: list[VideoTask], settings: Settings
) -> None:
    world.sandbox.balance(settings.CRITICAL_BALANCE_THRESHOLD)
    run_jobs(world, seconds=60)
    assert world.count_submissions() == 0
    world.sandbox.balance(settings.CRITICAL_BALANCE_THRESHOLD + 2 * PRICE + 1)
    run_jobs(world, seconds=120)
    assert world.count_submissions() == 3, "the balance stays above the threshold before each submission"
    world.sandbox.balance(5000)
    # Our clock runs ahead of the sandbox's, whose rate limit may delay some videos.
    run_jobs(world, seconds=1800, until=all_ready(batch))
    assert_all_ready_and_paid_once(world, batch)


ORDER = f"""
from accounts.models import User
from billing.credits import ledger
from videos.ordering import orders
from videos.ordering.orders import VideoOrder
for number in range({BATCH}):
    user, _ = User.objects.get_or_create(email=f"user{{number % 4}}@example.com")
    ledger.grant(user=user, user_credits={PRICE}, idempotency_key=f"grant-{{number}}", note="for a test")
    orders.create(user=user, order=VideoOrder(prompt=f"Video number {{number}}"), idempotency_key=f"order-{{number}}")
"""


@pytest.mark.chaos
def test_f23_real_processes_wait_for_a_top_up(stack: Stack, sandbox: SandboxProcess) -> None:
    def count(status: str) -> int:
        return int(str(stack.rows(f"SELECT count(*) FROM videos_videotask WHERE status = '{status}'")[0][0]))

    def block_reason() -> str:
        return str(stack.rows("SELECT parked_as FROM billing_provideraccount")[0][0])

    sandbox.settings(times_s=[2, 2, 2])
    sandbox.set_faults("balance-runs-out:7")
    stack.env |= {"MAX_CONCURRENT_PER_USER": "3", "MAX_CONCURRENT_VIDEOS": "4", "HOURLY_COST_LIMIT": "0"}
    stack.start_web()
    stack.script(ORDER)
    stack.start_worker()
    wait_until(lambda: block_reason() == "out_of_credits" and count("ready") == 7, within_s=120)
    assert count("queued") == BATCH - 7
    sandbox.set_faults()
    sandbox.balance(5000)
    wait_until(lambda: count("ready") == BATCH, within_s=180)
    prompts = [row["body"]["prompt"] for row in sandbox.list_accepted()]
    assert sorted(prompts) == sorted(f"Video number {number}" for number in range(BATCH))
    assert stack.rows("SELECT count(*) FROM billing_ledgerentry WHERE kind = 'refund'") == [(0,)]
    assert stack.rows("SELECT count(*), sum(amount) FROM billing_ledgerentry WHERE kind = 'charge'") == [
        (BATCH, -BATCH * PRICE)
    ]
    assert "0 problems" in stack.manage("check_books").stdout

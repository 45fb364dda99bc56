"""The check of recent outcomes: which failures count, that it runs every minute, and that it stops new videos only."""

from datetime import timedelta
from decimal import Decimal

import pytest
from pytest_django import Settings

from accounts.models import User
from accounts.seams import randomness
from billing.guard import checks as guard_checks
from billing.models import Alert, UserHold, WatchTrip
from billing.provider import accounts as provider_accounts
from tests.people import give_credits
from tests.videos.world import PRICE, World
from videos.models import VideoTask
from videos.ordering import orders
from videos.ordering.orders import VideoOrder
from videos.providers.base import RefusalReason
from videos.worker import health as worker_health
from videos.worker import sweep


def make_ended(world: World, user: User, *codes: str, minutes_ago: float = 1) -> None:
    """Make ended videos: failed with these codes, or ready for an empty code."""
    VideoTask.objects.bulk_create(
        VideoTask(
            user=user,
            status="failed" if code else "ready",
            failure_code=code,
            finished_at=world.clock.now() - timedelta(minutes=minutes_ago),
            duration_s=8,
            user_credits=PRICE,
            account=provider_accounts.get_current_account(),
            provider_task_id=f"p-{(name := randomness.token())}",
            idempotency_key=name,
        )
        for code in codes
    )


@pytest.fixture(autouse=True)
def _only_failures(settings: Settings) -> None:
    settings.UNUSUAL_USER_BURST = 10_000
    settings.UNUSUAL_SPEND_FLOOR = Decimal(10_000_000)


def test_failures_of_the_provider_pause_new_videos_only(world: World, alice: User) -> None:
    waiting = world.order(alice)
    make_ended(world, alice, *["generation"] * 13, *[""] * 7)
    (trip,) = worker_health.check_recent_outcomes()
    assert (trip.kind, trip.seen) == ("failures", Decimal("0.65"))
    assert world.reload(waiting).status == "queued"
    assert world.send() == 0
    give_credits(alice, PRICE)
    with pytest.raises(guard_checks.Paused, match="more is being spent than usual"):
        orders.create(user=alice, order=VideoOrder(prompt="a kite"), idempotency_key="refused")
    world.advance(minutes=61)
    world.run()
    world.assert_charged(waiting)
    assert Alert.objects.get(kind="failure_rate").resolved_at is not None


@pytest.mark.parametrize("code", worker_health.UNRELATED_FAILURES)
def test_failures_caused_by_orders_or_operators_do_not_count(world: World, alice: User, code: str) -> None:
    make_ended(world, alice, *[code] * 25, *[""] * 7, *["timed_out"] * 12)
    assert worker_health.check_recent_outcomes() == []
    since = world.clock.now() - timedelta(hours=1)
    outcomes = worker_health.recent_outcomes(since, account_id=provider_accounts.get_current_account().pk)
    assert (outcomes.jobs, dict(outcomes.failed)) == (19, {"timed_out": 12})


def test_every_failure_code_is_classified() -> None:
    provider_failures = {"image_unreachable", "invalid", "timed_out", "generation"}
    assert provider_failures == set(RefusalReason) - set(worker_health.UNRELATED_FAILURES)


def test_only_the_newest_outcomes_of_the_last_hour_count(world: World, alice: User) -> None:
    make_ended(world, alice, *[""] * 60, minutes_ago=30)
    make_ended(world, alice, *["generation"] * 30, minutes_ago=90)
    assert worker_health.check_recent_outcomes() == []
    make_ended(world, alice, *["generation"] * 25)
    assert [trip.kind for trip in worker_health.check_recent_outcomes()] == ["failures"]


def test_the_sweep_checks_outcomes_each_minute(world: World, alice: User, settings: Settings) -> None:
    sweep.tidy()
    make_ended(world, alice, *["generation"] * 20)
    sweep.tidy()
    assert not WatchTrip.objects.exists()
    world.advance(seconds=61)
    sweep.tidy()
    assert WatchTrip.objects.count() == 1


def test_when_switched_off_it_stops_nothing_and_ends_existing_stops(
    world: World, alice: User, settings: Settings
) -> None:
    make_ended(world, alice, *["generation"] * 20)
    worker_health.check_recent_outcomes()
    settings.UNUSUAL_WATCH = False
    world.advance(minutes=61)
    assert worker_health.check_recent_outcomes() == []
    assert WatchTrip.objects.get().ended_at is not None
    make_ended(world, alice, *["generation"] * 20)
    assert worker_health.check_recent_outcomes() == []
    assert WatchTrip.objects.count() == 1


def test_without_a_key_nothing_is_checked(db: None, settings: Settings) -> None:
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", False
    assert worker_health.check_recent_outcomes() == []


def test_a_burst_through_the_real_orders_holds_one_user_and_serves_the_other(
    world: World, alice: User, bob: User, settings: Settings
) -> None:
    settings.UNUSUAL_USER_BURST = 5
    tasks = [world.order(alice) for _ in range(6)]
    world.advance(seconds=61)
    sweep.tidy()
    assert UserHold.objects.get().user == alice
    with pytest.raises(guard_checks.Held):
        world.order(alice)
    bobs_task = world.order(bob)
    world.send()
    assert world.reload(bobs_task).status == "generating"
    assert {world.reload(task).status for task in tasks} == {"queued"}
    world.advance(minutes=61)
    world.run()
    for task in tasks:
        assert world.reload(task).status == "ready"
    assert not UserHold.objects.exists()
    assert Alert.objects.get(kind="user_burst").resolved_at is not None

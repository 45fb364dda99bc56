"""The provider's rate limit, shared by all senders: never more requests in a window than it allows."""

import pytest
from pytest_django import Settings

from tests.people import make_person
from tests.sandbox import SandboxProcess
from tests.stack import wait_until
from tests.videos.world import AdjustableClock, World


@pytest.mark.django_db(transaction=True)
def test_f24_a_hundred_orders_reach_the_provider_at_twenty_in_a_window(
    at_sandbox: SandboxProcess, adjustable_clock: AdjustableClock, settings: Settings
) -> None:
    settings.JOB_THREADS = 8
    settings.MAX_CONCURRENT_VIDEOS = settings.MAX_CONCURRENT_PER_USER = 200
    settings.CRITICAL_BALANCE_THRESHOLD = settings.LOW_BALANCE_THRESHOLD = 0
    settings.HOURLY_COST_LIMIT = settings.DAILY_COST_LIMIT = 0
    settings.PROVIDER_RATE_WINDOW_S = 2  # ten seconds of the sandbox, whose clock runs five times as fast
    at_sandbox.speed(5)
    at_sandbox.balance(100_000)
    at_sandbox.settings(times_s=[9000, 9000, 9000])
    world = World(at_sandbox, adjustable_clock)
    for number in range(100):
        world.order(make_person(f"user{number}@example.com"), f"prompt {number}")
    wait_until(lambda: world.send() >= 0 and world.count_submissions() == 100, within_s=120, every_s=0.05)
    rows = at_sandbox.events("submission")
    assert len(rows) == 100
    assert all(row["accepted"] for row in rows), "the provider never responded with 429"
    times = sorted(row["at"] for row in rows)
    windows = [sum(1 for time in times if start <= time < start + 10) for start in times]
    assert max(windows) <= 20

"""Fixtures for tests of the pipeline."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from accounts.models import User
from accounts.seams import clock
from billing.provider import accounts as provider_accounts
from tests.clocks import ManualClock
from tests.videos.world import World
from videos.models import VideoTask


@pytest.fixture
def token(world_with_callbacks: World, alice: User, monkeypatch: pytest.MonkeyPatch) -> str:
    """The callback token that the next task gets."""
    next_token = "t" * 43
    monkeypatch.setattr("accounts.seams.randomness.token", lambda: next_token)
    return next_token


@pytest.fixture
def task(world: World, alice: User) -> VideoTask:
    """A video that the provider has finished and that is not downloaded yet."""
    task = world.order(alice, duration_s=4)
    world.send()
    world.sandbox.finish()
    world.advance(minutes=10)
    world.poll()
    assert world.reload(task).status == "downloading"
    return world.reload(task)


@pytest.fixture
def manual_clock() -> Iterator[ManualClock]:
    """The product's clock, stopped."""
    stopped_clock = ManualClock()
    with clock.replaced(stopped_clock):
        yield stopped_clock


@pytest.fixture
def provider(manual_clock: ManualClock) -> int:
    """The id of the current account, with enough balance."""
    account = provider_accounts.get_current_account()
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    return account.pk

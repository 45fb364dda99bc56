"""The simulated provider of the reconciliation tests."""

from decimal import Decimal

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from tests.billing.simulated_provider import SimulatedProvider
from tests.clocks import ManualClock


@pytest.fixture
def provider(manual_clock: ManualClock, alice: User, settings: Settings) -> SimulatedProvider:
    settings.HOURLY_COST_LIMIT = Decimal(100_000)
    return SimulatedProvider(manual_clock, alice)

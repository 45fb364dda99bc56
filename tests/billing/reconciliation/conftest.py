"""The provider that the tests of reconciliation share."""

from decimal import Decimal

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from tests.billing.conftest import SetClock
from tests.billing.simulated_provider import SimulatedProvider


@pytest.fixture
def provider(still: SetClock, alice: User, settings: Settings) -> SimulatedProvider:
    settings.HOURLY_COST_LIMIT = Decimal(100_000)
    return SimulatedProvider(still, alice)

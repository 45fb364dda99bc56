"""A fixed time and a working account, for tests of the operator pages."""

import pytest
from pytest_django.fixtures import Settings

from billing.models import ProviderAccount
from tests.billing.operator_pages.dashboard_page import AT
from tests.clocks import ManualClock
from videos.models import JobRequest


@pytest.fixture
def fixed_time(manual_clock: ManualClock, settings: Settings) -> None:
    """Stop the clock at AT, on a site whose time zone is UTC."""
    manual_clock.at = AT
    settings.TIME_ZONE = "UTC"


@pytest.fixture
def working_account(account: ProviderAccount) -> ProviderAccount:
    """An account with 5,000 credits and a running worker."""
    JobRequest.objects.create(name="canary", started_at=AT)
    return account

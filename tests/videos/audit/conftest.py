"""Fixtures for tests of reconciliation."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.models import ProviderAccount
from billing.provider import accounts as provider_accounts
from tests.billing.conftest import browser_of
from tests.billing.conftest import manual_clock as manual_clock
from tests.billing.conftest import staff as staff
from tests.people import make_person


@pytest.fixture
def staff_browser(settings: Settings, db: None) -> Callable[..., Client]:
    """Create the browser of a new staff user with the given permissions."""
    settings.STAFF_MFA_REQUIRED = False

    def create_browser(*permissions: str) -> Client:
        user = make_person(f"{permissions[0]}@example.com", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        return browser_of(user)

    return create_browser


@pytest.fixture
def account(settings: Settings, tmp_path: Path, alice: User) -> ProviderAccount:
    """The provider account with a balance that was read before any video was ordered."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.INCOMING_ROOT = settings.MEDIA_ROOT / ".incoming"
    settings.MAX_CONCURRENT_PER_USER = settings.MAX_ACTIVE_PER_USER = settings.PROVIDER_RATE_LIMIT = 100
    settings.HOURLY_COST_LIMIT = settings.DAILY_COST_LIMIT = Decimal(0)
    account = provider_accounts.get_current_account()
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    return account

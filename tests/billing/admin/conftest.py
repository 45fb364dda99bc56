"""Fixtures of the admin tests: an operator with chosen permissions, and a key that was added in the admin."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django.fixtures import Settings

from billing.models import (
    ProviderAccount,
)
from billing.provider import keys as provider_keys
from tests.billing.admin.pages import now
from tests.billing.conftest import browser_of
from tests.people import make_person


@pytest.fixture
def clerk(settings: Settings, db: None) -> Callable[..., Client]:
    """An operator with exactly these rights."""
    settings.STAFF_MFA_REQUIRED = False

    def hired(*rights: str) -> Client:
        user = make_person("clerk@example.com", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=rights))
        return browser_of(user)

    return hired


@pytest.fixture
def own_key(settings: Settings) -> ProviderAccount:
    """The account of a key that was added here and is in use; the environment has none."""
    settings.KIE_AI_API_KEY = ""
    account = provider_keys.add_key(api_key="admin-key-canary", label="Ours")
    provider_keys.activate_key(account_id=account.pk)
    return now(account)

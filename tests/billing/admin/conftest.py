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
from tests.billing.admin.pages import reload_account
from tests.billing.conftest import browser_of
from tests.people import make_person


@pytest.fixture
def clerk(settings: Settings, db: None) -> Callable[..., Client]:
    """Signs in an operator with exactly these permissions."""
    settings.STAFF_MFA_REQUIRED = False

    def sign_in_operator(*permissions: str) -> Client:
        user = make_person("clerk@example.com", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        return browser_of(user)

    return sign_in_operator


@pytest.fixture
def own_key(settings: Settings) -> ProviderAccount:
    """The account of a key that was added in the admin and is in use; the environment sets no key."""
    settings.KIE_AI_API_KEY = ""
    account = provider_keys.add_key(api_key="admin-key-canary", label="Ours")
    provider_keys.activate_key(account_id=account.pk)
    return reload_account(account)

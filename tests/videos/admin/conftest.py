"""Olga's browser for tests of the operators' pages."""

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User


@pytest.fixture
def staff(olga: User, settings: Settings) -> Client:
    """Olga's browser, signed in to the operators' site."""
    settings.STAFF_MFA_REQUIRED = False
    client = Client()
    client.force_login(olga)
    return client

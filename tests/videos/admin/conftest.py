"""Olga's browser."""

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User


@pytest.fixture
def desk(olga: User, settings: Settings) -> Client:
    """Olga's browser, inside the operators' site."""
    settings.STAFF_MFA_REQUIRED = False
    client = Client()
    client.force_login(olga)
    return client

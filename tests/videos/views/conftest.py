"""Browsers for tests of the users' pages."""

import pytest
from django.test import Client

from accounts.models import User
from tests.people import give_credits


@pytest.fixture
def signed_in(client: Client, alice: User) -> Client:
    """Alice's browser; she has no credits."""
    client.force_login(alice)
    return client


@pytest.fixture
def studio_client(signed_in: Client, alice: User) -> Client:
    """Alice's browser; she has 100 credits."""
    give_credits(alice, 100)
    return signed_in

"""Fixtures of tests in Chinese."""

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from tests.videos.conftest import own_media

__all__ = ["own_media"]


@pytest.fixture
def chinese_user(alice: User) -> User:
    """Alice, with Chinese as her language."""
    alice.language = "zh-hans"
    alice.save(update_fields=["language"])
    return alice


@pytest.fixture
def chinese_client(chinese_user: User) -> Client:
    """Her browser, signed in."""
    client = Client(headers={"accept-language": "zh-CN"})
    client.force_login(chinese_user)
    return client


@pytest.fixture
def chinese_visitor() -> Client:
    """A browser that asks for Chinese, not signed in."""
    return Client(headers={"accept-language": "zh-CN,zh;q=0.9"})


@pytest.fixture
def operator(olga: User, settings: Settings) -> Client:
    """Olga's browser, signed in to the admin, in Chinese."""
    settings.STAFF_MFA_REQUIRED = False
    olga.language = "zh-hans"
    olga.save(update_fields=["language"])
    client = Client()
    client.force_login(olga)
    return client

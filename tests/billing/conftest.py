"""Fixtures for tests of billing: an operator's client, a manual clock, a provider account, new jobs, disabled triggers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.utils import translation
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.seams import clock
from billing.costs import spend
from billing.models import ProviderAccount, Spend
from billing.pricing import prices
from billing.provider import accounts as provider_accounts
from tests.clocks import ManualClock
from tests.database import triggers_disabled
from tests.jobs import job_id

NewSpend = Callable[..., Spend]


@pytest.fixture
def manual_clock() -> Iterator[ManualClock]:
    """Replaces the application's clock by one that moves only when the test moves it."""
    manual = ManualClock()
    with clock.replaced(manual):
        yield manual


@pytest.fixture
def account(db: None) -> ProviderAccount:
    """The current provider account, with a sufficient balance."""
    current = provider_accounts.get_current_account()
    provider_accounts.record_balance(account_id=current.pk, balance=Decimal(5000))
    current.refresh_from_db()
    return current


@pytest.fixture
def new_spend(alice: User) -> Callable[..., Spend]:
    """Returns a function that creates jobs with estimated cost, by default for Alice."""
    count = 0

    def new(*, job: str = "", user: User = alice) -> Spend:
        nonlocal count
        count += 1
        quote = prices.get_quote(model="veo3_fast", resolution="720p")
        return spend.estimate(job_id=job_id(job or f"job:{count}"), user=user, quote=quote)

    return new


@pytest.fixture
def staff(olga: User, settings: Settings) -> Client:
    """The client of Olga, an operator who is signed in to the admin."""
    settings.STAFF_MFA_REQUIRED = False
    return browser_of(olga)


def browser_of(user: User) -> Client:
    """A test client signed in as this user."""
    client = Client()
    client.force_login(user)
    return client


@contextmanager
def without_history_protection() -> Iterator[None]:
    """Disable the database triggers that protect history, so that a test can break it."""
    # PostgreSQL alters no table that has pending constraint checks.
    connection.check_constraints()
    with connection.cursor() as cursor, triggers_disabled(connection, cursor):
        yield
        connection.check_constraints()


@pytest.fixture
def english() -> Iterator[None]:
    """Activate English."""
    with translation.override("en"):
        yield


@pytest.fixture
def unlimited(settings: Settings) -> None:
    """Remove the limits of the environment; days begin at midnight UTC."""
    settings.TIME_ZONE = "UTC"
    settings.HOURLY_COST_LIMIT = settings.DAILY_COST_LIMIT = settings.MONTHLY_COST_LIMIT = Decimal(0)
    settings.USER_DAILY_COST_LIMIT = Decimal(0)

"""What tests of money share: an operator's browser, a clock to set, history without its guards, prices and accounts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
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
from tests.database import triggers_disabled
from tests.jobs import job_id

NewSpend = Callable[..., Spend]


class SetClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.at = datetime(2026, 9, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def still() -> Iterator[SetClock]:
    """Our clock, standing still."""
    mine = SetClock()
    with clock.replaced(mine):
        yield mine


@pytest.fixture
def account(db: None) -> ProviderAccount:
    """The account that new work goes to, with a good balance."""
    current = provider_accounts.get_current_account()
    provider_accounts.record_balance(account_id=current.pk, balance=Decimal(5000))
    current.refresh_from_db()
    return current


@pytest.fixture
def new_spend(alice: User) -> Callable[..., Spend]:
    """An estimated job of Alice's."""
    made = 0

    def new(*, job: str = "", user: User = alice) -> Spend:
        nonlocal made
        made += 1
        quote = prices.get_quote(model="veo3_fast", resolution="720p")
        return spend.estimate(job_id=job_id(job or f"job:{made}"), user=user, quote=quote)

    return new


@pytest.fixture
def desk(olga: User, settings: Settings) -> Client:
    """Olga's browser, inside the operators' site."""
    settings.STAFF_MFA_REQUIRED = False
    return browser_of(olga)


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@contextmanager
def unguarded() -> Iterator[None]:
    """History can be rewritten within the block: to plant what must be found."""
    # PostgreSQL alters no table with checks still to do.
    connection.check_constraints()
    with connection.cursor() as cursor, triggers_disabled(connection, cursor):
        yield
        connection.check_constraints()


@pytest.fixture
def english() -> Iterator[None]:
    """Sentences as their source writes them."""
    with translation.override("en"):
        yield


@pytest.fixture
def unlimited(settings: Settings) -> None:
    """No budget of the environment, and days that begin at midnight UTC."""
    settings.TIME_ZONE = "UTC"
    settings.HOURLY_COST_LIMIT = settings.DAILY_COST_LIMIT = settings.MONTHLY_COST_LIMIT = Decimal(0)
    settings.USER_DAILY_COST_LIMIT = Decimal(0)

"""Estimates against costs: of one job, by day, by model."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from billing import tally, variance
from billing.models import Period
from tests.billing.conftest import SetClock
from tests.billing.purse import Purse

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 9, 1, tzinfo=UTC)


@pytest.fixture
def purse(still: SetClock, alice: User, settings: Settings) -> Purse:
    settings.HOURLY_COST_LIMIT = Decimal(100_000)
    return Purse(still, alice)


def test_of_one_job(purse: Purse) -> None:
    job = purse.send()
    assert variance.of_job(job) is None
    purse.end(job, actual="37.5")
    job.refresh_from_db()
    found = variance.of_job(job)
    assert found is not None
    assert (found.difference, found.percent) == (Decimal("-22.5"), Decimal("-37.5"))


def test_by_day_and_by_model_whether_folded_or_not(purse: Purse) -> None:
    purse.job(actual=60)
    purse.job(actual=30)
    purse.pass_(days=1)
    purse.job(actual=300, model="veo3")
    purse.send()
    for _ in range(2):
        until = DAY + timedelta(days=2)
        days = variance.by_window(Period.DAY, since=DAY, until=until)
        assert [(at, one.jobs, one.estimated, one.actual) for at, one in days.items()] == [
            (DAY, 2, 120, 90),
            (DAY + timedelta(days=1), 1, 250, 300),
        ]
        models = variance.by_model(since=DAY, until=until)
        assert {name: one.difference for name, one in models.items()} == {"veo3": 50, "veo3_fast": -30}
        tally.fold()


def test_without_an_estimate_there_is_no_share() -> None:
    assert variance.Variance(0, Decimal(0), Decimal(0)).percent is None

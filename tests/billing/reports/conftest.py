"""The time zone, the time and the counts that the tests of reports use."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from pytest_django.fixtures import Settings

from billing.costs import rollups
from billing.models import Measure

# 14:30 in Berlin.
AT = datetime(2026, 9, 1, 12, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def in_berlin(settings: Settings) -> None:
    settings.TIME_ZONE = "Europe/Berlin"


def count_job(at: datetime = AT, *, model: str = "veo3_fast", user_id: int = 1, settled: str | None = "60") -> None:
    """Count a job ordered at that time. `settled` is its actual cost; None for an open job."""
    counts: list[tuple[Measure, Decimal | int]] = [(Measure.ORDERED, 1), (Measure.ESTIMATED, 60), (Measure.CHARGED, 72)]
    if settled is not None:
        counts += [(Measure.SETTLED, 1), (Measure.SETTLED_ESTIMATE, 60), (Measure.ACTUAL, Decimal(settled))]
        counts += [(Measure.READY, 1)]
    labelled: list[tuple[Measure, str, Decimal | int]] = [
        (Measure.VERDICT, "callback", 1),
        (Measure.GENERATION, "84", 1),
    ]
    rollups.record_counts(ordered_at=at, model=model, user_id=user_id, counts=counts, labelled=labelled)

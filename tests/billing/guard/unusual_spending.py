"""Orders of past hours and the state of an account, for tests of the spending monitor."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from billing.costs import rollups
from billing.guard import anomalies
from billing.guard.anomalies import RecentOutcomes
from billing.models import Measure, ProviderAccount, WatchTrip

# A working day (a Tuesday), shortly after noon.
NOON = datetime(2026, 9, 1, 12, 20, tzinfo=UTC)


NO_OUTCOMES = RecentOutcomes(0, {})


def record_orders(credits: int | str, *, hours_ago: float = 0, user_id: int = 1) -> None:
    """Record that this many provider credits were ordered, by default in the current hour."""
    rollups.record_counts(
        ordered_at=NOON - timedelta(hours=hours_ago),
        model="veo3_fast",
        user_id=user_id,
        counts=[(Measure.ORDERED, 1), (Measure.ESTIMATED, Decimal(credits))],
    )


def record_this_hour_daily(credits: int, *, days: int = 14) -> None:
    """Record orders in the same hour of each of the last days."""
    for day in range(1, days + 1):
        record_orders(credits, hours_ago=24 * day)


def run_check(account: ProviderAccount, outcomes: RecentOutcomes = NO_OUTCOMES) -> list[WatchTrip]:
    return anomalies.check_anomalies(account_id=account.pk, outcomes_since=lambda since: outcomes)


def reload(account: ProviderAccount) -> ProviderAccount:
    return ProviderAccount.objects.get(pk=account.pk)


def is_paused(account: ProviderAccount, at: datetime = NOON) -> bool:
    return reload(account).is_paused_at(at)

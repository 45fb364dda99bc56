"""Orders of past hours and the state of an account, for tests of the spending monitor."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from billing.costs import rollups
from billing.guard import anomalies
from billing.guard.anomalies import RecentOutcomes
from billing.models import Measure, ProviderAccount, WatchTrip

# A Tuesday.
NOON = datetime(2026, 9, 1, 12, 20, tzinfo=UTC)


NOTHING = RecentOutcomes(0, {})


def ordered(credits: int | str, *, hours_ago: float = 0, user_id: int = 1) -> None:
    """So many provider credits were ordered then."""
    rollups.record_counts(
        ordered_at=NOON - timedelta(hours=hours_ago),
        model="veo3_fast",
        user_id=user_id,
        counts=[(Measure.ORDERED, 1), (Measure.ESTIMATED, Decimal(credits))],
    )


def a_fortnight_of(credits: int, *, days: int = 14) -> None:
    """The same hour, each day."""
    for day in range(1, days + 1):
        ordered(credits, hours_ago=24 * day)


def look(account: ProviderAccount, ended: RecentOutcomes = NOTHING) -> list[WatchTrip]:
    return anomalies.check_anomalies(account_id=account.pk, outcomes_since=lambda since: ended)


def now_of(account: ProviderAccount) -> ProviderAccount:
    return ProviderAccount.objects.get(pk=account.pk)


def is_paused(account: ProviderAccount, at: datetime = NOON) -> bool:
    return now_of(account).is_paused_at(at)

"""How often a long history is searched: new losses are found in minutes, everything else within the hour."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import User
from billing.models import Alert, ProviderAccount
from billing.reconciliation import reconcile, top_ups, unexplained
from tests.billing.simulated_provider import SimulatedProvider

pytestmark = pytest.mark.django_db


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often the whole history was searched since the last call."""
    update, times = reconcile.update_unexplained, [0]

    def count_update(account: ProviderAccount) -> Any:
        times[0] += 1
        return update(account)

    def take_count() -> int:
        count, times[0] = times[0], 0
        return count

    monkeypatch.setattr(reconcile, "update_unexplained", count_update)
    return take_count


@pytest.fixture
def long_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any history with a job counts as long."""
    monkeypatch.setattr(reconcile, "SHORT_HISTORY_JOBS", 0)


def is_alert_open() -> bool:
    return Alert.objects.filter(kind="unexplained_spend", resolved_at=None).exists()


def test_a_short_history_is_searched_every_time(provider: SimulatedProvider, searches: Callable[[], int]) -> None:
    provider.read_balance()
    provider.run_job()
    for _ in range(3):
        provider.read_balance(minutes=5)
        unexplained.update_if_changed(provider.account)
    assert searches() == 3


def test_a_long_history_is_searched_once_an_hour(
    provider: SimulatedProvider, searches: Callable[[], int], long_history: None
) -> None:
    provider.read_balance()
    provider.run_job()
    for _ in range(24):
        provider.read_balance(minutes=5)
        provider.run_job()
        unexplained.update_if_changed(provider.account)
    assert searches() == 3, "in almost two hours and a half"
    assert not is_alert_open()


def test_new_losses_raise_an_alert_in_minutes_however_long_the_history(
    provider: SimulatedProvider, searches: Callable[[], int], long_history: None
) -> None:
    provider.read_balance()
    provider.run_job()
    provider.read_balance()
    unexplained.update_if_changed(provider.account)
    assert (searches(), is_alert_open()) == (1, False)
    provider.balance -= 12
    provider.read_balance(minutes=5)
    unexplained.update_if_changed(provider.account)
    assert (searches(), is_alert_open()) == (1, True)
    provider.account.refresh_from_db()
    assert provider.account.unexplained == -12
    # The reading that showed the loss is not older than the last search, so one more search is made.
    for _ in range(3):
        provider.read_balance(minutes=5)
        unexplained.update_if_changed(provider.account)
    assert (searches(), is_alert_open()) == (1, True)


def test_a_correction_resolves_the_alert_at_the_next_run(
    provider: SimulatedProvider, olga: User, searches: Callable[[], int], long_history: None
) -> None:
    provider.read_balance()
    provider.run_job()
    provider.balance -= 12
    provider.read_balance()
    unexplained.update_if_changed(provider.account)
    assert (searches(), is_alert_open()) == (1, True)
    provider.advance(minutes=20)
    reconcile.record_correction(
        account_id=provider.account.pk,
        amount=Decimal(-12),
        reason="Playground",
        actor=olga,
        idempotency_key="1",
        happened_at=provider.clock.at - timedelta(minutes=20),
    )
    assert (searches(), is_alert_open()) == (0, True), "a long history is searched in the background"
    top_ups.reconcile_accounts()
    assert (searches(), is_alert_open()) == (1, False)


def test_late_settlements_are_found_within_the_hour(
    provider: SimulatedProvider, searches: Callable[[], int], long_history: None
) -> None:
    provider.read_balance()
    provider.run_job()
    charged_job = provider.run_job(actual=0, basis="assumed", charged=0)
    provider.read_balance()
    unexplained.update_if_changed(provider.account)
    assert is_alert_open(), "its cost is unexplained"
    searches()
    charged_job.basis, charged_job.actual = "reported", Decimal(60)
    charged_job.save(update_fields=["basis", "actual"])
    provider.read_balance(minutes=5)
    unexplained.update_if_changed(provider.account)
    assert (searches(), is_alert_open()) == (0, True)
    provider.read_balance(minutes=56)
    unexplained.update_if_changed(provider.account)
    assert (searches(), is_alert_open()) == (1, False)


def test_an_account_without_readings_raises_no_alert(provider: SimulatedProvider, long_history: None) -> None:
    provider.run_job()
    provider.account.unexplained_at = provider.clock.at
    provider.account.save(update_fields=["unexplained_at"])
    unexplained.update_if_changed(provider.account)
    assert not is_alert_open()

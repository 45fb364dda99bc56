"""How often a long history is gone through: what is new is found in minutes, everything within the hour."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.models import Alert, ProviderAccount
from billing.reconciliation import reconcile, top_ups, unexplained
from tests.billing.conftest import SetClock
from tests.billing.purse import Purse

pytestmark = pytest.mark.django_db


@pytest.fixture
def purse(still: SetClock, alice: User, settings: Settings) -> Purse:
    settings.HOURLY_COST_LIMIT = Decimal(100_000)
    return Purse(still, alice)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often the whole history was gone through since last asked."""
    whole, times = reconcile.update_unexplained, [0]

    def watched(account: ProviderAccount) -> Any:
        times[0] += 1
        return whole(account)

    def counted() -> int:
        count, times[0] = times[0], 0
        return count

    monkeypatch.setattr(reconcile, "update_unexplained", watched)
    return counted


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any history with a job in it is a long one."""
    monkeypatch.setattr(reconcile, "SHORT_HISTORY_JOBS", 0)


def is_told() -> bool:
    return Alert.objects.filter(kind="unexplained_spend", resolved_at=None).exists()


def test_a_short_history_is_gone_through_every_time(purse: Purse, looks: Callable[[], int]) -> None:
    purse.read()
    purse.job()
    for _ in range(3):
        purse.read(minutes=5)
        unexplained.update_if_changed(purse.account)
    assert looks() == 3


def test_a_long_history_is_gone_through_once_an_hour(purse: Purse, looks: Callable[[], int], long: None) -> None:
    purse.read()
    purse.job()
    for _ in range(24):
        purse.read(minutes=5)
        purse.job()
        unexplained.update_if_changed(purse.account)
    assert looks() == 3, "in almost two hours and a half"
    assert not is_told()


def test_what_goes_now_is_told_of_in_minutes_however_long_the_history(
    purse: Purse, looks: Callable[[], int], long: None
) -> None:
    purse.read()
    purse.job()
    purse.read()
    unexplained.update_if_changed(purse.account)
    assert (looks(), is_told()) == (1, False)
    purse.balance -= 12
    purse.read(minutes=5)
    unexplained.update_if_changed(purse.account)
    assert (looks(), is_told()) == (1, True)
    purse.account.refresh_from_db()
    assert purse.account.unexplained == -12
    # It is known now; the reading that showed it is looked through once more, for it was as new as the look.
    for _ in range(3):
        purse.read(minutes=5)
        unexplained.update_if_changed(purse.account)
    assert (looks(), is_told()) == (1, True)


def test_an_answer_ends_the_alert_at_the_next_look(
    purse: Purse, olga: User, looks: Callable[[], int], long: None
) -> None:
    purse.read()
    purse.job()
    purse.balance -= 12
    purse.read()
    unexplained.update_if_changed(purse.account)
    assert (looks(), is_told()) == (1, True)
    purse.pass_(minutes=20)
    reconcile.record_correction(
        account_id=purse.account.pk,
        amount=Decimal(-12),
        reason="Playground",
        actor=olga,
        idempotency_key="1",
        happened_at=purse.still.at - timedelta(minutes=20),
    )
    assert (looks(), is_told()) == (0, True), "nobody waits for a long history"
    top_ups.reconcile_accounts()
    assert (looks(), is_told()) == (1, False)


def test_what_was_settled_late_is_seen_within_the_hour(purse: Purse, looks: Callable[[], int], long: None) -> None:
    purse.read()
    purse.job()
    lost = purse.job(actual=0, basis="assumed", charged=0)
    purse.read()
    unexplained.update_if_changed(purse.account)
    assert is_told(), "what it took is gone"
    looks()
    lost.basis, lost.actual = "reported", Decimal(60)
    lost.save(update_fields=["basis", "actual"])
    purse.read(minutes=5)
    unexplained.update_if_changed(purse.account)
    assert (looks(), is_told()) == (0, True)
    purse.read(minutes=56)
    unexplained.update_if_changed(purse.account)
    assert (looks(), is_told()) == (1, False)


def test_an_account_without_readings_is_looked_at_and_nothing_told(purse: Purse, long: None) -> None:
    purse.job()
    purse.account.unexplained_at = purse.still.at
    purse.account.save(update_fields=["unexplained_at"])
    unexplained.update_if_changed(purse.account)
    assert not is_told()

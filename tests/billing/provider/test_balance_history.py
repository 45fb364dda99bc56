"""The balance history is thinned out with age and keeps readings that entries refer to."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from billing.models import BalanceSnapshot, ProviderAccount, ProviderEntry
from billing.provider import balance_history
from billing.provider import keys as provider_keys
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db


def read_at(account: ProviderAccount, *times: datetime) -> None:
    BalanceSnapshot.objects.bulk_create(
        [BalanceSnapshot(account=account, balance=Decimal(5000), promised=Decimal(0), taken_at=at) for at in times]
    )


def kept_times(account: ProviderAccount) -> list[datetime]:
    return list(account.snapshots.order_by("taken_at").values_list("taken_at", flat=True))


@pytest.fixture
def empty(manual_clock: ManualClock, account: ProviderAccount) -> ProviderAccount:
    BalanceSnapshot.objects.all().delete()
    return account


def test_readings_are_kept_for_a_week_then_hourly_then_daily(manual_clock: ManualClock, empty: ProviderAccount) -> None:
    week, quarter, ancient = (manual_clock.at - timedelta(days=days) for days in (6, 30, 200))
    every = [
        start.replace(minute=0) + timedelta(minutes=20 * step)
        for start in (ancient, quarter, week)
        for step in range(12)
    ]
    read_at(empty, *every)
    assert balance_history.delete_old_readings(manual_clock.at) == 11 + 8
    assert kept_times(empty) == [every[11], *every[14:24:3], *every[24:]]
    assert balance_history.delete_old_readings(manual_clock.at) == 0


def test_a_reading_that_an_entry_refers_to_is_kept(manual_clock: ManualClock, empty: ProviderAccount) -> None:
    old = manual_clock.at - timedelta(days=30)
    read_at(empty, *(old + timedelta(minutes=step) for step in range(5)))
    evidence = empty.snapshots.order_by("taken_at")[1]
    ProviderEntry.objects.create(
        account=empty,
        kind=ProviderEntry.Kind.TOP_UP,
        amount=Decimal(100),
        reason="seen",
        snapshot=evidence,
        idempotency_key="top-up:1",
        happened_at=old,
    )
    assert balance_history.delete_old_readings(manual_clock.at) == 3
    assert kept_times(empty) == [old + timedelta(minutes=1), old + timedelta(minutes=4)]


def test_each_account_keeps_its_own_readings(manual_clock: ManualClock, empty: ProviderAccount) -> None:
    other = provider_keys.add_key(api_key="another-key", label="Another")
    old = manual_clock.at - timedelta(days=30)
    for account in (empty, other):
        read_at(account, old, old + timedelta(minutes=1))
    assert balance_history.delete_old_readings(manual_clock.at) == 2
    assert kept_times(empty) == kept_times(other) == [old + timedelta(minutes=1)]


def test_an_hour_that_is_only_partly_old_is_not_thinned(manual_clock: ManualClock, empty: ProviderAccount) -> None:
    manual_clock.at = manual_clock.at.replace(minute=30)
    edge = manual_clock.at - balance_history.KEEP_ALL_FOR
    read_at(empty, edge - timedelta(minutes=20), edge - timedelta(minutes=10), edge + timedelta(minutes=10))
    assert balance_history.delete_old_readings(manual_clock.at) == 0

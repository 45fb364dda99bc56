"""The balance history is thinned out with age and keeps readings that entries refer to."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from billing.models import BalanceSnapshot, ProviderAccount, ProviderEntry
from billing.provider import balance_history
from billing.provider import keys as provider_keys
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db


def create_readings(account: ProviderAccount, *times: datetime) -> None:
    BalanceSnapshot.objects.bulk_create(
        [BalanceSnapshot(account=account, balance=Decimal(5000), promised=Decimal(0), taken_at=at) for at in times]
    )


def kept_times(account: ProviderAccount) -> list[datetime]:
    return list(account.snapshots.order_by("taken_at").values_list("taken_at", flat=True))


@pytest.fixture
def account_without_readings(manual_clock: ManualClock, account: ProviderAccount) -> ProviderAccount:
    BalanceSnapshot.objects.all().delete()
    return account


def test_readings_are_kept_for_a_week_then_hourly_then_daily(
    manual_clock: ManualClock, account_without_readings: ProviderAccount
) -> None:
    week, quarter, ancient = (manual_clock.at - timedelta(days=days) for days in (6, 30, 200))
    readings = [
        start.replace(minute=0) + timedelta(minutes=20 * step)
        for start in (ancient, quarter, week)
        for step in range(12)
    ]
    create_readings(account_without_readings, *readings)
    assert balance_history.delete_old_readings(manual_clock.at) == 11 + 8
    assert kept_times(account_without_readings) == [readings[11], *readings[14:24:3], *readings[24:]]
    assert balance_history.delete_old_readings(manual_clock.at) == 0


def test_a_reading_that_an_entry_refers_to_is_kept(
    manual_clock: ManualClock, account_without_readings: ProviderAccount
) -> None:
    old = manual_clock.at - timedelta(days=30)
    create_readings(account_without_readings, *(old + timedelta(minutes=step) for step in range(5)))
    evidence = account_without_readings.snapshots.order_by("taken_at")[1]
    ProviderEntry.objects.create(
        account=account_without_readings,
        kind=ProviderEntry.Kind.TOP_UP,
        amount=Decimal(100),
        reason="seen",
        snapshot=evidence,
        idempotency_key="top-up:1",
        happened_at=old,
    )
    assert balance_history.delete_old_readings(manual_clock.at) == 3
    assert kept_times(account_without_readings) == [old + timedelta(minutes=1), old + timedelta(minutes=4)]


def test_each_account_keeps_its_own_readings(
    manual_clock: ManualClock, account_without_readings: ProviderAccount
) -> None:
    other = provider_keys.add_key(api_key="another-key", label="Another")
    old = manual_clock.at - timedelta(days=30)
    for account in (account_without_readings, other):
        create_readings(account, old, old + timedelta(minutes=1))
    assert balance_history.delete_old_readings(manual_clock.at) == 2
    assert kept_times(account_without_readings) == kept_times(other) == [old + timedelta(minutes=1)]


def test_an_hour_that_is_only_partly_old_is_not_thinned(
    manual_clock: ManualClock, account_without_readings: ProviderAccount
) -> None:
    manual_clock.at = manual_clock.at.replace(minute=30)
    limit = manual_clock.at - balance_history.KEEP_ALL_FOR
    create_readings(
        account_without_readings,
        limit - timedelta(minutes=20),
        limit - timedelta(minutes=10),
        limit + timedelta(minutes=10),
    )
    assert balance_history.delete_old_readings(manual_clock.at) == 0

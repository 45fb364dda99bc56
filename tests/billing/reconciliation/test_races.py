"""Concurrent processes record a top-up or a correction once on PostgreSQL."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models import Sum

from accounts.models import User
from accounts.seams import clock
from billing.models import BalanceSnapshot, ProviderAccount, ProviderEntry
from billing.reconciliation import reconcile
from tests.billing.racing import PROCESSES, race

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

# Each race is repeated this many times.
TIMES = 8


def create_account_with_readings(number: int, *balances: int) -> ProviderAccount:
    """Create an account with readings of its balance every five minutes until now."""
    account = ProviderAccount.objects.create(
        label=f"Key {number}",
        source="admin",
        base_url=f"https://{number}.example",
        upload_base_url="",
        key_fingerprint=str(number),
    )
    at = clock.database_now() - timedelta(minutes=5 * len(balances))
    for balance in balances:
        BalanceSnapshot.objects.create(account=account, balance=balance, promised=0, taken_at=at)
        at += timedelta(minutes=5)
    return account


def test_f78_eight_processes_record_one_top_up_once(process_environment: dict[str, str]) -> None:
    accounts = [create_account_with_readings(number, 500, 1500, 1500) for number in range(TIMES)]
    account_ids = ",".join(str(account.pk) for account in accounts)
    results = race("tests.billing.race_reconciliation", "record", account_ids, environment=process_environment)
    assert [count for _, count in results] == [TIMES] * PROCESSES
    assert sum(written for written, _ in results) == TIMES
    for account in accounts:
        assert list(account.entries.values_list("kind", "amount")) == [("top_up", 1000)]
        at = clock.database_now()
        found = reconcile.reconcile(account=account, since=at - timedelta(days=1), until=at)
        assert found is not None
        assert (found.unexplained, found.jumps) == (0, ())


def test_eight_processes_record_a_correction_under_one_key_once(
    olga: User, process_environment: dict[str, str]
) -> None:
    account = create_account_with_readings(1, 500, 500 - TIMES, 500 - TIMES)
    keys = ",".join(f"form-{n}" for n in range(TIMES))
    arguments = ("correct", str(account.pk), olga.email, keys)
    results = race("tests.billing.race_reconciliation", *arguments, environment=process_environment)
    entries = ProviderEntry.objects.filter(kind="correction")
    ids = entries.values_list("pk", flat=True)
    assert results == [(TIMES, sum(ids))] * PROCESSES, "each process got the same entries"
    assert entries.count() == TIMES
    assert entries.aggregate(sum=Sum("amount"))["sum"] == Decimal(-TIMES)

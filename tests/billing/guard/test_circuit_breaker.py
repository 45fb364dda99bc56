"""The breaker opens after failures; after its cooldown and a free balance call one probe is sent, and its success closes it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from pytest_django.fixtures import DjangoAssertNumQueries, Settings

from accounts.seams import randomness
from billing.costs import spend
from billing.guard import circuit_breaker
from billing.models import Alert, PaidCall, ProviderAccount, ProviderOutcome
from billing.provider import accounts as provider_accounts
from billing.provider import keys as provider_keys
from tests.billing.conftest import NewSpend
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db
State = ProviderAccount.Breaker
Call = circuit_breaker.Call


@pytest.fixture(autouse=True)
def _seeded() -> object:
    with randomness.seeded(1):
        yield


def reload(account: ProviderAccount) -> ProviderAccount:
    account.refresh_from_db()
    return account


def record_failures(
    account: ProviderAccount, times: int = 1, *, call: Call = Call.PAID, opens_immediately: bool = False
) -> ProviderAccount:
    for _ in range(times):
        circuit_breaker.record_failure(account.pk, detail="502", call=call, opens_immediately=opens_immediately)
    return reload(account)


def cooldown_s(account: ProviderAccount, manual_clock: ManualClock) -> float:
    assert account.breaker_until is not None
    return (account.breaker_until - manual_clock.at) / timedelta(seconds=1)


def end_cooldown(account: ProviderAccount, manual_clock: ManualClock) -> ProviderAccount:
    """Move the clock to the end of the cooldown and record a successful balance call."""
    assert account.breaker_until is not None
    manual_clock.at = account.breaker_until
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    return reload(account)


def test_f16_it_opens_after_five_failures_with_one_alert(manual_clock: ManualClock, account: ProviderAccount) -> None:
    assert record_failures(account, 4).breaker == State.CLOSED
    assert not Alert.objects.exists()
    assert record_failures(account).breaker == State.OPEN
    assert account.breaker_at == manual_clock.at
    assert cooldown_s(account, manual_clock) == pytest.approx(30, rel=0.11)
    assert Alert.objects.get().cause == account.cause


def test_five_failures_among_the_last_ten_calls_open_it(manual_clock: ManualClock, account: ProviderAccount) -> None:
    for _ in range(4):
        record_failures(account)
        circuit_breaker.record_success(account.pk)
    assert reload(account).breaker == State.CLOSED
    assert record_failures(account).breaker == State.OPEN


def test_few_failures_among_many_successes_do_not_open_it(manual_clock: ManualClock, account: ProviderAccount) -> None:
    for _ in range(10):
        record_failures(account)
        for _ in range(2):
            circuit_breaker.record_success(account.pk)
    assert reload(account).breaker == State.CLOSED


def test_failures_older_than_the_window_are_forgotten(
    manual_clock: ManualClock, account: ProviderAccount, settings: Settings
) -> None:
    record_failures(account, 4)
    manual_clock.sleep(settings.BREAKER_WINDOW_S)
    assert record_failures(account, 4).breaker == State.CLOSED
    assert record_failures(account).breaker == State.OPEN


def test_thresholds_come_from_the_settings(
    manual_clock: ManualClock, account: ProviderAccount, settings: Settings
) -> None:
    settings.BREAKER_FAILURES, settings.BREAKER_OF = 2, 2
    record_failures(account)
    circuit_breaker.record_success(account.pk)
    assert record_failures(account).breaker == State.CLOSED
    assert record_failures(account).breaker == State.OPEN


def test_one_accounts_failures_do_not_open_anothers(manual_clock: ManualClock, account: ProviderAccount) -> None:
    other = provider_keys.add_key(api_key="another-key", label="Another")
    record_failures(other, 4)
    assert record_failures(account).breaker == State.CLOSED


def test_maintenance_opens_it_immediately(manual_clock: ManualClock, account: ProviderAccount) -> None:
    assert record_failures(account, opens_immediately=True).breaker == State.OPEN


# Free calls


def test_free_calls_are_counted_separately(manual_clock: ManualClock, account: ProviderAccount) -> None:
    record_failures(account, 4, call=Call.POLL)
    assert record_failures(account, 4).breaker == State.CLOSED
    assert record_failures(account, call=Call.BALANCE).breaker == State.OPEN


def test_successful_free_calls_offset_free_failures_but_not_paid_ones(
    manual_clock: ManualClock, account: ProviderAccount
) -> None:
    for _ in range(6):
        record_failures(account, call=Call.POLL)
        circuit_breaker.record_success(account.pk, call=Call.POLL)
        circuit_breaker.record_success(account.pk, call=Call.BALANCE)
    assert reload(account).breaker == State.CLOSED
    assert record_failures(account, 5).breaker == State.OPEN


def test_a_successful_free_call_without_failures_writes_nothing(
    manual_clock: ManualClock, account: ProviderAccount, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        circuit_breaker.record_success(account.pk, call=Call.POLL)
    assert not ProviderOutcome.objects.exists()


def test_the_outcome_of_a_paid_call_is_kept_for_a_day(manual_clock: ManualClock, account: ProviderAccount) -> None:
    circuit_breaker.record_success(account.pk)
    record_failures(account)
    assert [str(row) for row in ProviderOutcome.objects.all()] == ["12:00:00 502", "12:00:00 ok"]
    assert circuit_breaker.delete_old_outcomes() == 0
    manual_clock.sleep(86_401)
    assert circuit_breaker.delete_old_outcomes() == 2


# Open and half-open


def test_calls_in_flight_when_it_opened_do_not_change_the_cooldown(
    manual_clock: ManualClock, account: ProviderAccount
) -> None:
    until = record_failures(account, 5).breaker_until
    manual_clock.sleep(10)
    record_failures(account, 3)
    record_failures(account, 6, call=Call.POLL)
    record_failures(account, call=Call.BALANCE)
    circuit_breaker.record_success(account.pk)
    assert (reload(account).breaker, account.breaker_until, account.breaker_opened) == (State.OPEN, until, 1)


def test_a_failed_probe_doubles_the_cooldown_up_to_ten_minutes(
    manual_clock: ManualClock, account: ProviderAccount
) -> None:
    record_failures(account, 5)
    for expected_s in (60, 120, 240, 480, 600, 600):
        circuit_breaker.start_probe(end_cooldown(account, manual_clock))
        assert reload(account).breaker == State.HALF_OPEN
        record_failures(account)
        assert account.breaker == State.OPEN
        assert cooldown_s(account, manual_clock) == pytest.approx(expected_s, rel=0.11)


def test_a_failed_balance_call_after_the_cooldown_opens_the_breaker_again(
    manual_clock: ManualClock, account: ProviderAccount
) -> None:
    record_failures(account, 5)
    assert account.breaker_until is not None
    manual_clock.at = account.breaker_until
    assert cooldown_s(record_failures(account, call=Call.BALANCE), manual_clock) == pytest.approx(60, rel=0.11)
    assert account.breaker == State.OPEN


def test_free_failures_during_a_probe_do_not_fail_the_probe(
    manual_clock: ManualClock, account: ProviderAccount
) -> None:
    record_failures(account, 5)
    circuit_breaker.start_probe(end_cooldown(account, manual_clock))
    assert record_failures(account, call=Call.POLL).breaker == State.HALF_OPEN
    assert record_failures(account, call=Call.BALANCE).breaker == State.HALF_OPEN


def test_a_failed_balance_call_after_a_lost_probe_opens_the_breaker_again(
    manual_clock: ManualClock, account: ProviderAccount
) -> None:
    record_failures(account, 5)
    circuit_breaker.start_probe(end_cooldown(account, manual_clock))
    reload(account)
    assert account.breaker_until is not None
    manual_clock.at = account.breaker_until
    reopened = record_failures(account, call=Call.BALANCE)
    assert reopened.breaker == State.OPEN
    assert cooldown_s(reopened, manual_clock) == pytest.approx(60, rel=0.11)


def test_a_successful_probe_closes_the_breaker_and_resolves_the_alert(
    manual_clock: ManualClock, account: ProviderAccount
) -> None:
    record_failures(account, 5)
    circuit_breaker.start_probe(end_cooldown(account, manual_clock))
    circuit_breaker.record_success(account.pk, call=Call.POLL)
    assert reload(account).breaker == State.HALF_OPEN
    circuit_breaker.record_success(account.pk)
    assert (reload(account).breaker, account.breaker_opened, account.breaker_until) == (State.CLOSED, 0, None)
    assert account.breaker_at == manual_clock.at
    assert Alert.objects.get().resolved_at == manual_clock.at
    assert circuit_breaker.count_failures(account, manual_clock.at) == 0
    manual_clock.sleep(1)
    assert record_failures(account, 4).breaker == State.CLOSED
    assert record_failures(account).breaker == State.OPEN
    assert cooldown_s(account, manual_clock) == pytest.approx(30, rel=0.11)


# When a paid call may be sent


def test_after_the_cooldown_the_balance_is_read_and_then_one_probe_is_sent(
    manual_clock: ManualClock, account: ProviderAccount, settings: Settings
) -> None:
    record_failures(account, 5)
    assert circuit_breaker.next_call_at(account, manual_clock.at) == account.breaker_until
    assert account.breaker_until is not None
    manual_clock.at = account.breaker_until
    assert circuit_breaker.next_call_at(account, manual_clock.at) == manual_clock.at + timedelta(seconds=2)
    ProviderAccount.objects.update(balance_at=None)
    assert circuit_breaker.next_call_at(reload(account), manual_clock.at) == manual_clock.at + timedelta(seconds=2)
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    assert circuit_breaker.next_call_at(reload(account), manual_clock.at) is None
    circuit_breaker.start_probe(account)
    lease = timedelta(seconds=settings.SUBMIT_LEASE_S)
    assert circuit_breaker.next_call_at(reload(account), manual_clock.at) == manual_clock.at + lease
    manual_clock.at += lease
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    assert circuit_breaker.next_call_at(reload(account), manual_clock.at) is None, "the probe was lost with its worker"


def test_the_calls_in_flight_are_limited_to_the_failures_that_open_the_breaker(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    jobs = [new_spend() for _ in range(5)]
    for job in jobs[:3]:
        spend.promise(spend=job, account=account)
    assert circuit_breaker.next_call_at(account, manual_clock.at) is None
    record_failures(account)
    assert circuit_breaker.next_call_at(account, manual_clock.at) is None
    spend.promise(spend=jobs[3], account=account)
    assert circuit_breaker.next_call_at(account, manual_clock.at) == manual_clock.at + timedelta(seconds=1)
    spend.record_response(job_id=jobs[0].job_id, outcome=PaidCall.Outcome.ACCEPTED)
    assert circuit_breaker.next_call_at(account, manual_clock.at) is None


def test_a_call_left_by_a_dead_worker_blocks_only_for_a_short_time(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    for _ in range(5):
        spend.promise(spend=new_spend(), account=account)
    assert circuit_breaker.next_call_at(account, manual_clock.at) is not None
    manual_clock.at += circuit_breaker.MAX_IN_FLIGHT
    assert circuit_breaker.next_call_at(account, manual_clock.at) is None


def test_failures_are_counted_under_the_account_s_lock(account: ProviderAccount) -> None:
    circuit_breaker.record_failure(account.pk, detail="x" * 1000)
    assert len(ProviderOutcome.objects.get().detail) == 300
    assert connection.in_atomic_block, "only the transaction of the test itself is open"

"""The breaker opens after trouble, rests, lets one probe through, and closes on the first sensible answer."""

from datetime import timedelta

import pytest
from django.db import transaction

from accounts.doors import chance
from billing import breaker
from billing.models import Alert, ProviderAccount
from tests.billing.conftest import SetClock

pytestmark = pytest.mark.django_db
State = ProviderAccount.Breaker


@pytest.fixture(autouse=True)
def _seeded() -> object:
    with chance.owned(1):
        yield


def fail(account: ProviderAccount, times: int = 1, **how: bool) -> ProviderAccount:
    for _ in range(times):
        with transaction.atomic():
            breaker.failed(account.pk, detail="502", **how)
    account.refresh_from_db()
    return account


def rest_s(account: ProviderAccount, still: SetClock) -> float:
    assert account.breaker_until is not None
    return (account.breaker_until - still.at) / timedelta(seconds=1)


def test_f16_it_opens_after_five_failures_in_a_row_and_tells_once(account: ProviderAccount, still: SetClock) -> None:
    assert fail(account, breaker.FAILURES_TO_OPEN - 1).breaker == State.CLOSED
    assert not Alert.objects.exists()
    assert fail(account).breaker == State.OPEN
    assert rest_s(account, still) == pytest.approx(30, rel=0.11)
    assert Alert.objects.get().cause == account.cause


def test_a_good_answer_in_between_starts_the_count_anew(account: ProviderAccount, still: SetClock) -> None:
    fail(account, 4)
    breaker.succeeded(account.pk)
    assert fail(account, 4).breaker == State.CLOSED


def test_maintenance_opens_it_at_once(account: ProviderAccount, still: SetClock) -> None:
    assert fail(account, at_once=True).breaker == State.OPEN


def test_more_failures_while_open_prolong_the_rest_but_do_not_double_it(
    account: ProviderAccount, still: SetClock
) -> None:
    fail(account, 8)
    assert account.breaker_opened == 1
    assert rest_s(account, still) == pytest.approx(30, rel=0.11)


def test_a_failed_probe_doubles_the_rest_up_to_ten_minutes(account: ProviderAccount, still: SetClock) -> None:
    fail(account, 5)
    for expected_s in (60, 120, 240, 480, 600, 600):
        breaker.half_open(account)
        assert account.breaker == State.HALF_OPEN
        fail(account)
        assert account.breaker == State.OPEN
        assert rest_s(account, still) == pytest.approx(expected_s, rel=0.11)


def test_a_good_probe_closes_it_and_ends_the_alert(account: ProviderAccount, still: SetClock) -> None:
    fail(account, 5)
    breaker.half_open(account)
    breaker.succeeded(account.pk)
    account.refresh_from_db()
    assert (account.breaker, account.breaker_failures, account.breaker_opened) == (State.CLOSED, 0, 0)
    assert account.breaker_until is None
    assert Alert.objects.get().resolved_at == still.at


def test_while_all_is_well_success_writes_nothing(account: ProviderAccount, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(1):  # type: ignore[operator]
        breaker.succeeded(account.pk)


@pytest.mark.postgres
def test_it_counts_only_under_its_accounts_lock(transactional_db: None) -> None:
    with pytest.raises(transaction.TransactionManagementError):
        breaker.failed(1, detail="outside of a transaction")

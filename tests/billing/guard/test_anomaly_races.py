"""The spending monitor under concurrency: parallel checks, operators, orders and dispatch make one stop and one alert."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.seams import clock
from billing.costs import rollups
from billing.credits import ledger
from billing.guard import anomalies, user_holds
from billing.guard import checks as guard_checks
from billing.guard.anomalies import RecentOutcomes
from billing.models import Alert, Measure, ProviderAccount, UserHold, WatchTrip
from billing.provider import accounts as provider_accounts
from tests.billing import history
from tests.billing.credits.test_races import PRICE, THREADS, order, run_simultaneously
from tests.people import give_credits
from videos.pipeline import dispatch

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def account() -> ProviderAccount:
    current = provider_accounts.get_current_account()
    provider_accounts.record_balance(account_id=current.pk, balance=Decimal(5000))
    return current


def run_check(account: ProviderAccount) -> list[WatchTrip]:
    return anomalies.check_anomalies(account_id=account.pk, outcomes_since=lambda since: RecentOutcomes(0, {}))


def order_unusually_much() -> None:
    rollups.record_counts(ordered_at=clock.now(), model="m", user_id=1, counts=[(Measure.ESTIMATED, Decimal(2001))])


def list_errors(results: list[Any]) -> list[Any]:
    return [result for result in results if isinstance(result, Exception)]


def test_of_eight_concurrent_checks_one_pauses(account: ProviderAccount) -> None:
    order_unusually_much()
    results = run_simultaneously(*[partial(run_check, account)] * THREADS)
    assert sorted(map(len, results)) == [0] * (THREADS - 1) + [1]
    assert WatchTrip.objects.count() == 1
    assert Alert.objects.get(kind="unusual_spend").count == 1
    provider_accounts.resume_account(account_id=account.pk)
    assert sorted(run_simultaneously(*[anomalies.end_finished_trips] * THREADS)) == [0] * (THREADS - 1) + [1]


def test_of_eight_concurrent_checks_one_holds_the_user(
    account: ProviderAccount, alice: User, settings: Settings
) -> None:
    settings.UNUSUAL_USER_BURST, settings.UNUSUAL_SPEND_FLOOR = 3, Decimal(1_000_000)
    for _ in range(4):
        history.make_waiting(alice)
    results = run_simultaneously(*[partial(run_check, account)] * THREADS)
    assert sorted(map(len, results)) == [0] * (THREADS - 1) + [1]
    assert UserHold.objects.get().user == alice
    assert Alert.objects.get(kind="user_burst").count == 1


def test_an_operator_s_concurrent_pause_wins(account: ProviderAccount, olga: User) -> None:
    order_unusually_much()
    code = ProviderAccount.Pause.MAINTENANCE
    pause_by_operator: Callable[[], Any] = partial(
        provider_accounts.pause_account, account_id=account.pk, actor=olga, code=code
    )
    assert list_errors(run_simultaneously(*[partial(run_check, account)] * 7, pause_by_operator)) == []
    account.refresh_from_db()
    assert (account.paused_by, account.pause_code) == (olga, "maintenance")


def test_a_hold_during_orders_and_dispatch_stops_everything_after_it(
    account: ProviderAccount, alice: User, olga: User, settings: Settings
) -> None:
    settings.MAX_CONCURRENT_PER_USER = settings.MAX_CONCURRENT_VIDEOS = 100
    for _ in range(4):
        history.make_waiting(alice)
    give_credits(alice, 4 * PRICE)
    calls: list[Callable[[], Any]] = [partial(order, alice, f"late-{n}") for n in range(4)]
    calls += [partial(dispatch.claim_next, account.pk) for _ in range(4)]
    calls += [partial(user_holds.hold, user=alice, code=user_holds.Code.OPERATOR, reason="x", actor=olga)]
    results = run_simultaneously(*calls)
    assert all(isinstance(error, guard_checks.Held) for error in list_errors(results))
    assert dispatch.claim_next(account.pk) is None
    assert ledger.balance_of(alice) == len(list_errors(results)) * PRICE
    with pytest.raises(guard_checks.Held):
        order(alice, "last")
    assert ledger.balance_of(alice) == sum(entry.amount for entry in ledger.statement(alice))

"""Concurrent threads and processes on PostgreSQL: charges, refunds, claims and alerts happen once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from decimal import Decimal
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from pytest_django.fixtures import Settings

from accounts import user_actions
from accounts.models import User
from billing.alerts import outbox as alert_outbox
from billing.alerts import services as alerts
from billing.audit import runner as audit_runner
from billing.costs import spend
from billing.credits import ledger
from billing.models import (
    Alert,
    AlertDelivery,
    CreditAccount,
    DailySummary,
    LedgerEntry,
    PaidCall,
    ProviderAccount,
    Spend,
)
from billing.provider import accounts as provider_accounts
from billing.provider import keys as provider_keys
from billing.reports import summary_schedule
from tests.billing import history
from tests.billing.racing import race
from tests.people import give_credits, make_person
from videos.lifecycle import status_changes as lifecycle
from videos.lifecycle import verdicts
from videos.models import VideoTask
from videos.ordering import orders
from videos.ordering.orders import VideoOrder
from videos.pipeline import dispatch
from videos.providers.base import ReportState

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

THREADS = 8
PRICE = 60


def run_simultaneously(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls in threads that start at the same moment; returns what each returned, or its exception."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        connection.ensure_connection()
        barrier.wait()
        try:
            return call()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def balance_and_entries(user: User) -> tuple[int, list[tuple[str, int]]]:
    entries = ledger.statement(user).order_by("id")
    return ledger.balance_of(user), list(entries.values_list("kind", "amount"))


def order(user: User, key: str, prompt: str = "a kite") -> VideoTask:
    return orders.create(user=user, order=VideoOrder(prompt=prompt), idempotency_key=key)


def test_f03_eight_processes_spend_exactly_the_balance(alice: User, process_environment: dict[str, str]) -> None:
    give_credits(alice, 100 * PRICE)
    # Without cost limits, only the credits limit the orders.
    environment = process_environment | {"HOURLY_COST_LIMIT": "0", "DAILY_COST_LIMIT": "0"}
    counts = race("tests.billing.race_orders", alice.email, "60", "p{n}", "not_enough_credits", environment=environment)
    assert sum(accepted for accepted, _ in counts) == 100
    assert sum(refused for _, refused in counts) == 380
    assert VideoTask.objects.filter(user=alice).count() == 100
    assert Spend.objects.filter(user=alice, state=Spend.State.ESTIMATED).count() == 100
    assert LedgerEntry.objects.filter(kind="charge", amount=-PRICE).count() == 100
    assert ledger.balance_of(alice) == 0
    assert ledger.statement(alice).latest("id").balance_after == 0
    assert audit_runner.find_problems() == []


def test_f01_one_form_sent_eight_times_at_once_makes_one_video_and_one_charge(alice: User) -> None:
    give_credits(alice, PRICE)
    results = run_simultaneously(*[lambda: order(alice, "form-1")] * THREADS)
    assert len({task.pk for task in results}) == 1
    assert VideoTask.objects.count() == 1
    assert balance_and_entries(alice) == (0, [("grant", PRICE), ("charge", -PRICE)])
    assert audit_runner.find_problems() == []


def test_f02_the_same_key_with_another_prompt_is_refused_and_charged_once(alice: User) -> None:
    give_credits(alice, 10 * PRICE)
    prompts = ["a kite", "a boat"] * (THREADS // 2)
    results = run_simultaneously(*[lambda prompt=prompt: order(alice, "form-1", prompt) for prompt in prompts])
    refused = [result for result in results if isinstance(result, orders.KeyReused)]
    assert len(refused) == THREADS // 2
    assert len({result.pk for result in results if isinstance(result, VideoTask)}) == 1
    assert balance_and_entries(alice) == (9 * PRICE, [("grant", 10 * PRICE), ("charge", -PRICE)])


def test_the_first_credits_of_a_user_open_one_account(alice: User) -> None:
    calls = [
        lambda n=n: ledger.grant(user=alice, user_credits=10, idempotency_key=f"g{n % 4}", note="race")
        for n in range(THREADS)
    ]
    results = run_simultaneously(*calls)
    assert {entry.amount for entry in results} == {10}
    assert CreditAccount.objects.count() == 1
    assert balance_and_entries(alice) == (40, [("grant", 10)] * 4)
    assert audit_runner.find_problems() == []


def test_f76_an_operators_refund_races_the_automatic_one(alice: User, olga: User) -> None:
    task = history.make_waiting(alice)

    def operator_decides() -> bool:
        return lifecycle.cancel(task_id=task.pk, code="operator", actor=olga)

    def time_limit_cancels() -> bool:
        return lifecycle.cancel(task_id=task.pk, code="waited_too_long", actor=None)

    results = run_simultaneously(*[operator_decides, time_limit_cancels] * (THREADS // 2))
    assert sorted(results) == [False] * (THREADS - 1) + [True]
    assert balance_and_entries(alice) == (PRICE, [("grant", PRICE), ("charge", -PRICE), ("refund", PRICE)])
    assert audit_runner.find_problems() == []


def test_f76_of_refunds_under_many_keys_one_is_made(alice: User) -> None:
    task = history.make_waiting(alice)
    calls = [
        lambda n=n: ledger.refund(charge_key=task.charge_key, idempotency_key=f"refund:{n}") for n in range(THREADS)
    ]
    results = run_simultaneously(*calls)
    assert len({entry.pk for entry in results}) == 1
    assert balance_and_entries(alice) == (PRICE, [("grant", PRICE), ("charge", -PRICE), ("refund", PRICE)])


def test_f76_a_verdict_races_an_operator_s_decision(alice: User, olga: User) -> None:
    task = history.make_generating(alice)
    verdict = history.make_report(task, ReportState.FAILED)

    def provider_reports() -> bool:
        return verdicts.record_failure(task_id=task.pk, report=verdict, source="poll")

    def operator_decides() -> bool:
        return lifecycle.give_up(task_id=task.pk, from_="generating", code="operator", actor=olga)

    results = run_simultaneously(*[provider_reports, operator_decides] * (THREADS // 2))
    assert sorted(results) == [False] * (THREADS - 1) + [True]
    assert balance_and_entries(alice) == (PRICE, [("grant", PRICE), ("charge", -PRICE), ("refund", PRICE)])
    assert audit_runner.find_problems() == []


def test_f78_one_payment_reported_eight_times_is_one_purchase(alice: User) -> None:
    def report_payment() -> LedgerEntry:
        return ledger.grant(
            user=alice,
            user_credits=500,
            idempotency_key="purchase:pay_1",
            reference="pay_1",
            kind=LedgerEntry.Kind.PURCHASE,
        )

    assert len({entry.pk for entry in run_simultaneously(*[report_payment] * THREADS)}) == 1
    assert balance_and_entries(alice) == (500, [("purchase", 500)])


def test_f21_one_job_is_promised_once_by_concurrent_workers(alice: User, settings: Settings) -> None:
    task = history.make_waiting(alice)
    account = provider_accounts.get_current_account()
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    results = run_simultaneously(*[lambda: dispatch.claim_next(account.pk)] * THREADS)
    assert [claim.task.pk for claim in results if isinstance(claim, dispatch.Claim)] == [task.pk]
    assert not [result for result in results if isinstance(result, Exception)]
    assert PaidCall.objects.count() == 1


def test_f24_eight_workers_keep_the_rate_limit(alice: User, settings: Settings) -> None:
    settings.PROVIDER_RATE_LIMIT, settings.MAX_CONCURRENT_VIDEOS, settings.MAX_CONCURRENT_PER_USER = 5, 100, 100
    for _ in range(12):
        history.make_waiting(alice)
    account = provider_accounts.get_current_account()
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    results = run_simultaneously(*[lambda: [dispatch.claim_next(account.pk) for _ in range(3)]] * THREADS)
    claimed = [claim for claims in results for claim in claims if isinstance(claim, dispatch.Claim)]
    assert len(claimed) == 5
    assert spend.count_calls_in_window(account_id=account.pk, since=account.created_at) == 5


def test_ten_thousand_raises_from_eight_processes_make_one_alert_and_one_mail(
    process_environment: dict[str, str],
) -> None:
    environment = process_environment | {"COST_ALERT_EMAIL": "olga@example.com"}
    counts = race("tests.billing.race_alerts", "1250", environment=environment, within_s=900)
    assert sum(times for times, _ in counts) == 10_000
    # An alert is counted by day, so a run over midnight makes two.
    assert sum(alert.count for alert in Alert.objects.all()) == 10_000
    assert Alert.objects.count() == AlertDelivery.objects.count() <= 2
    assert Alert.objects.filter(resolved_at=None).count() == 1


def test_threads_that_raise_and_resolve_one_alert_lose_no_count(settings: Settings) -> None:
    settings.COST_ALERT_EMAIL = ["olga@example.com"]

    def raise_and_resolve_repeatedly() -> None:
        for _ in range(20):
            alerts.raise_alert(Alert.Kind.STORAGE, cause="media")
            alerts.resolve_alerts(Alert.Kind.STORAGE, cause="media")

    assert run_simultaneously(*[raise_and_resolve_repeatedly] * THREADS) == [None] * THREADS
    assert Alert.objects.aggregate(sum=Sum("count"))["sum"] == THREADS * 20


def test_of_eight_workers_one_sends_a_delivery(settings: Settings) -> None:
    settings.COST_ALERT_EMAIL = ["olga@example.com"]
    alerts.raise_alert(Alert.Kind.STORAGE)
    [delivery] = alert_outbox.due_deliveries()
    copies = [copy(delivery) for _ in range(THREADS)]
    results = run_simultaneously(*[partial(alert_outbox.claim_delivery, delivery_copy) for delivery_copy in copies])
    assert sorted(results) == [False] * (THREADS - 1) + [True]


def test_of_eight_workers_one_sends_the_summary(settings: Settings) -> None:
    settings.COST_ALERT_EMAIL, settings.DAILY_SUMMARY_HOUR = ["olga@example.com"], 0
    results = run_simultaneously(*[summary_schedule.claim] * THREADS)
    assert len([row for row in results if row is not None]) == 1
    assert DailySummary.objects.count() == 1


def test_of_concurrent_key_choices_one_is_in_force() -> None:
    accounts = [provider_keys.add_key(api_key=f"key-number-{n}", label=f"Key {n}") for n in range(THREADS)]
    results = run_simultaneously(
        *[lambda pk=account.pk: provider_keys.activate_key(account_id=pk) for account in accounts]
    )
    assert results == [None] * THREADS
    assert ProviderAccount.objects.filter(is_active=True).count() == 1


def test_f73_an_account_is_closed_while_its_videos_end_and_new_ones_are_ordered(
    alice: User, olga: User, settings: Settings
) -> None:
    """Closing cancels many videos in one transaction without a deadlock with the other changes."""
    waiting = [history.make_waiting(alice) for _ in range(6)]
    give_credits(alice, 3 * PRICE)
    calls: list[Callable[[], Any]] = [lambda: user_actions.close_account(user=alice, actor=None)]
    calls += [partial(lifecycle.cancel, task_id=task.pk, code="user", actor=alice) for task in reversed(waiting)]
    calls += [partial(order, alice, f"late-{n}") for n in range(3)]
    results = run_simultaneously(*calls)
    assert [result for result in results if isinstance(result, Exception)] == []
    refunds = LedgerEntry.objects.filter(kind="refund", reference__in=[task.reference for task in waiting])
    assert refunds.count() == 6
    assert ledger.balance_of(alice) == sum(entry.amount for entry in ledger.statement(alice))
    assert audit_runner.find_problems() == []


def test_operators_who_grant_to_the_same_users_do_not_deadlock(olga: User) -> None:
    users = [make_person(f"p{n}@example.com") for n in range(5)]

    def give(key: str, credited_users: list[User]) -> None:
        with transaction.atomic():
            for user in sorted(credited_users, key=lambda user: user.pk):
                ledger.grant(user=user, user_credits=1, idempotency_key=f"{key}:{user.pk}", note="race", actor=olga)

    calls = [lambda n=n: give(f"k{n}", users if n % 2 else users[::-1]) for n in range(THREADS)]
    assert run_simultaneously(*calls) == [None] * THREADS
    assert {ledger.balance_of(user) for user in users} == {THREADS}
    assert LedgerEntry.objects.count() == 5 * THREADS

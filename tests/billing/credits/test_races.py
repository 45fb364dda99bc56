"""Many at once on PostgreSQL: what is true of one is true of all of them together."""

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


def together(*acts: Callable[[], Any]) -> list[Any]:
    """Run acts in threads that start at the same moment; what each returned, or the error it raised."""
    gate = Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        connection.ensure_connection()
        gate.wait()
        try:
            return act()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def money(user: User) -> tuple[int, list[tuple[str, int]]]:
    entries = ledger.statement(user).order_by("id")
    return ledger.balance_of(user), list(entries.values_list("kind", "amount"))


def order(user: User, key: str, prompt: str = "a kite") -> VideoTask:
    return orders.create(user=user, order=VideoOrder(prompt=prompt), idempotency_key=key)


def test_f03_eight_processes_spend_exactly_the_balance(alice: User, process_environment: dict[str, str]) -> None:
    give_credits(alice, 100 * PRICE)
    # Credits alone shall decide here.
    environment = process_environment | {"HOURLY_COST_LIMIT": "0", "DAILY_COST_LIMIT": "0"}
    answers = race(
        "tests.billing.race_orders", alice.email, "60", "p{n}", "not_enough_credits", environment=environment
    )
    assert sum(accepted for accepted, _ in answers) == 100
    assert sum(refused for _, refused in answers) == 380
    assert VideoTask.objects.filter(user=alice).count() == 100
    assert Spend.objects.filter(user=alice, state=Spend.State.ESTIMATED).count() == 100
    assert LedgerEntry.objects.filter(kind="charge", amount=-PRICE).count() == 100
    assert ledger.balance_of(alice) == 0
    assert ledger.statement(alice).latest("id").balance_after == 0
    assert audit_runner.find_problems() == []


def test_f01_one_form_sent_eight_times_at_once_makes_one_video_and_one_charge(alice: User) -> None:
    give_credits(alice, PRICE)
    found = together(*[lambda: order(alice, "form-1")] * THREADS)
    assert len({task.pk for task in found}) == 1
    assert VideoTask.objects.count() == 1
    assert money(alice) == (0, [("grant", PRICE), ("charge", -PRICE)])
    assert audit_runner.find_problems() == []


def test_f02_the_same_key_with_another_prompt_is_refused_and_charged_once(alice: User) -> None:
    give_credits(alice, 10 * PRICE)
    prompts = ["a kite", "a boat"] * (THREADS // 2)
    found = together(*[lambda prompt=prompt: order(alice, "form-1", prompt) for prompt in prompts])
    refused = [answer for answer in found if isinstance(answer, orders.KeyReused)]
    assert len(refused) == THREADS // 2
    assert len({answer.pk for answer in found if isinstance(answer, VideoTask)}) == 1
    assert money(alice) == (9 * PRICE, [("grant", 10 * PRICE), ("charge", -PRICE)])


def test_the_first_credits_of_a_person_open_one_account(alice: User) -> None:
    acts = [
        lambda n=n: ledger.grant(user=alice, user_credits=10, idempotency_key=f"g{n % 4}", note="race")
        for n in range(THREADS)
    ]
    found = together(*acts)
    assert {entry.amount for entry in found} == {10}
    assert CreditAccount.objects.count() == 1
    assert money(alice) == (40, [("grant", 10)] * 4)
    assert audit_runner.find_problems() == []


def test_f76_an_operators_refund_races_the_automatic_one(alice: User, olga: User) -> None:
    task = history.waiting(alice)

    def by_hand() -> bool:
        return lifecycle.cancel(task_id=task.pk, code="operator", actor=olga)

    def by_time() -> bool:
        return lifecycle.cancel(task_id=task.pk, code="waited_too_long", actor=None)

    found = together(*[by_hand, by_time] * (THREADS // 2))
    assert sorted(found) == [False] * (THREADS - 1) + [True]
    assert money(alice) == (PRICE, [("grant", PRICE), ("charge", -PRICE), ("refund", PRICE)])
    assert audit_runner.find_problems() == []


def test_f76_of_refunds_under_many_keys_one_is_made(alice: User) -> None:
    task = history.waiting(alice)
    acts = [
        lambda n=n: ledger.refund(charge_key=task.charge_key, idempotency_key=f"refund:{n}") for n in range(THREADS)
    ]
    found = together(*acts)
    assert len({entry.pk for entry in found}) == 1
    assert money(alice) == (PRICE, [("grant", PRICE), ("charge", -PRICE), ("refund", PRICE)])


def test_f76_a_verdict_races_an_operator_s_decision(alice: User, olga: User) -> None:
    task = history.generating(alice)
    verdict = history.report(task, ReportState.FAILED)

    def by_provider() -> bool:
        return verdicts.record_failure(task_id=task.pk, report=verdict, source="poll")

    def by_hand() -> bool:
        return lifecycle.give_up(task_id=task.pk, from_="generating", code="operator", actor=olga)

    found = together(*[by_provider, by_hand] * (THREADS // 2))
    assert sorted(found) == [False] * (THREADS - 1) + [True]
    assert money(alice) == (PRICE, [("grant", PRICE), ("charge", -PRICE), ("refund", PRICE)])
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

    assert len({entry.pk for entry in together(*[report_payment] * THREADS)}) == 1
    assert money(alice) == (500, [("purchase", 500)])


def test_f21_one_job_is_promised_once_by_concurrent_workers(alice: User, settings: Settings) -> None:
    task = history.waiting(alice)
    account = provider_accounts.get_current_account()
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    found = together(*[lambda: dispatch.claim_next(account.pk)] * THREADS)
    assert [claim.task.pk for claim in found if isinstance(claim, dispatch.Claim)] == [task.pk]
    assert not [answer for answer in found if isinstance(answer, Exception)]
    assert PaidCall.objects.count() == 1


def test_f24_eight_workers_keep_the_rate_limit(alice: User, settings: Settings) -> None:
    settings.PROVIDER_RATE_LIMIT, settings.MAX_CONCURRENT_VIDEOS, settings.MAX_CONCURRENT_PER_USER = 5, 100, 100
    for _ in range(12):
        history.waiting(alice)
    account = provider_accounts.get_current_account()
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    found = together(*[lambda: [dispatch.claim_next(account.pk) for _ in range(3)]] * THREADS)
    claimed = [step for steps in found for step in steps if isinstance(step, dispatch.Claim)]
    assert len(claimed) == 5
    assert spend.count_calls_in_window(account_id=account.pk, since=account.created_at) == 5


def test_ten_thousand_raises_from_eight_processes_make_one_alert_and_one_mail(
    process_environment: dict[str, str],
) -> None:
    environment = process_environment | {"COST_ALERT_EMAIL": "olga@example.com"}
    seen = race("tests.billing.race_alerts", "1250", environment=environment, within_s=900)
    assert sum(times for times, _ in seen) == 10_000
    # A run over midnight is two windows.
    assert sum(alert.count for alert in Alert.objects.all()) == 10_000
    assert Alert.objects.count() == AlertDelivery.objects.count() <= 2
    assert Alert.objects.filter(resolved_at=None).count() == 1


def test_threads_that_raise_and_end_one_alert_leave_one_entry(settings: Settings) -> None:
    settings.COST_ALERT_EMAIL = ["olga@example.com"]

    def to_and_fro() -> None:
        for _ in range(20):
            alerts.raise_alert(Alert.Kind.STORAGE, cause="media")
            alerts.resolve_alerts(Alert.Kind.STORAGE, cause="media")

    assert together(*[to_and_fro] * THREADS) == [None] * THREADS
    assert Alert.objects.aggregate(sum=Sum("count"))["sum"] == THREADS * 20


def test_of_eight_workers_one_sends_a_delivery(settings: Settings) -> None:
    settings.COST_ALERT_EMAIL = ["olga@example.com"]
    alerts.raise_alert(Alert.Kind.STORAGE)
    [delivery] = alert_outbox.due_deliveries()
    copies = [copy(delivery) for _ in range(THREADS)]
    found = together(*[partial(alert_outbox.claim_delivery, one) for one in copies])
    assert sorted(found) == [False] * (THREADS - 1) + [True]


def test_of_eight_workers_one_sends_the_summary(settings: Settings) -> None:
    settings.COST_ALERT_EMAIL, settings.DAILY_SUMMARY_HOUR = ["olga@example.com"], 0
    found = together(*[summary_schedule.claim] * THREADS)
    assert len([row for row in found if row is not None]) == 1
    assert DailySummary.objects.count() == 1


def test_of_concurrent_key_choices_one_is_in_force() -> None:
    accounts = [provider_keys.add_key(api_key=f"key-number-{n}", label=f"Key {n}") for n in range(THREADS)]
    found = together(*[lambda pk=account.pk: provider_keys.activate_key(account_id=pk) for account in accounts])
    assert found == [None] * THREADS
    assert ProviderAccount.objects.filter(is_active=True).count() == 1


def test_f73_an_account_is_closed_while_its_videos_end_and_new_ones_are_ordered(
    alice: User, olga: User, settings: Settings
) -> None:
    """Closing cancels many in one transaction; it waits for others and others for it, but never both."""
    waiting = [history.waiting(alice) for _ in range(6)]
    give_credits(alice, 3 * PRICE)
    acts: list[Callable[[], Any]] = [lambda: user_actions.close_account(user=alice, actor=None)]
    acts += [partial(lifecycle.cancel, task_id=task.pk, code="user", actor=alice) for task in reversed(waiting)]
    acts += [partial(order, alice, f"late-{n}") for n in range(3)]
    found = together(*acts)
    assert [answer for answer in found if isinstance(answer, Exception)] == []
    refunds = LedgerEntry.objects.filter(kind="refund", reference__in=[task.reference for task in waiting])
    assert refunds.count() == 6
    assert ledger.balance_of(alice) == sum(entry.amount for entry in ledger.statement(alice))
    assert audit_runner.find_problems() == []


def test_operators_who_grant_to_the_same_users_do_not_deadlock(olga: User) -> None:
    crowd = [make_person(f"p{n}@example.com") for n in range(5)]

    def give(key: str, people_: list[User]) -> None:
        with transaction.atomic():
            for user in sorted(people_, key=lambda user: user.pk):
                ledger.grant(user=user, user_credits=1, idempotency_key=f"{key}:{user.pk}", note="race", actor=olga)

    acts = [lambda n=n: give(f"k{n}", crowd if n % 2 else crowd[::-1]) for n in range(THREADS)]
    assert together(*acts) == [None] * THREADS
    assert {ledger.balance_of(user) for user in crowd} == {THREADS}
    assert LedgerEntry.objects.count() == 5 * THREADS

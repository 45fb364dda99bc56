"""Eight concurrent processes on PostgreSQL use a budget exactly and never exceed it."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.audit import runner as audit_runner
from billing.budgets.limits import set_limit
from billing.budgets.usage import BudgetSpent
from billing.costs import spend
from billing.credits import ledger
from billing.models import BudgetWindow, LedgerEntry, PaidCall, Spend
from billing.provider import accounts as provider_accounts
from billing.provider import keys as provider_keys
from tests.billing import history
from tests.billing.racing import race
from tests.jobs import job_id
from tests.people import give_credits, make_person
from videos.models import VideoTask
from videos.pipeline import dispatch

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

PRICE = 60
NO_LIMITS = {"HOURLY_COST_LIMIT": "0", "DAILY_COST_LIMIT": "0", "MONTHLY_COST_LIMIT": "0"}


def sum_used(scope: str, period: str) -> Decimal:
    """The sum over all windows of this period, because a new one may have begun during the race."""
    rows = BudgetWindow.objects.filter(scope=scope, period=period)
    return rows.aggregate(sum=Sum("used"))["sum"] or Decimal(0)


def test_f04_eight_processes_spend_exactly_the_budget(alice: User, process_environment: dict[str, str]) -> None:
    """480 attempts of 20 credits with a limit of 2,019: 100 fit, by each of the three limits."""
    for subject, model in (("all", ""), ("each_user", ""), ("model", "veo3_fast")):
        set_limit(subject=subject, period="month", limit=Decimal(2019), model=model, actor=None)
    results = race(
        "tests.billing.race_promises", alice.email, "60", "p{n}", environment=process_environment | NO_LIMITS
    )
    assert sum(promised for promised, _ in results) == 100
    assert sum(refused for _, refused in results) == 380
    scopes = ("all", f"user:{alice.pk}", "model:veo3_fast")
    assert {sum_used(scope, period) for scope in scopes for period in ("hour", "day", "month")} == {2000}
    assert Spend.objects.filter(state=Spend.State.PROMISED).aggregate(sum=Sum("counted"))["sum"] == 2000
    assert Spend.objects.filter(state=Spend.State.ESTIMATED, counted=0, counted_in=[]).count() == 380
    assert PaidCall.objects.count() == 100


def test_f04_an_order_above_the_user_s_budget_is_refused_before_the_charge(
    alice: User, process_environment: dict[str, str]
) -> None:
    give_credits(alice, 80 * PRICE)
    set_limit(subject="each_user", period="month", limit=Decimal(10 * PRICE + 59), actor=None)
    environment = process_environment | NO_LIMITS
    results = race("tests.billing.race_orders", alice.email, "10", "p{n}", "user_budget_spent", environment=environment)
    assert sum(accepted for accepted, _ in results) == 10
    assert sum(refused for _, refused in results) == 70
    assert VideoTask.objects.count() == 10
    assert LedgerEntry.objects.filter(kind="charge", amount=-PRICE).count() == 10
    assert ledger.balance_of(alice) == 70 * PRICE
    assert audit_runner.find_problems() == []


def test_f04_concurrent_promises_settlements_and_releases_keep_the_windows_exact(settings: Settings) -> None:
    """Many users and two accounts, so that no other lock serialises them; all create the same windows together."""
    for name in NO_LIMITS:
        setattr(settings, name, Decimal(0))
    set_limit(subject="all", period="month", limit=Decimal(40 * PRICE), actor=None)
    accounts = [provider_keys.add_key(api_key=f"key-number-{n}", label=f"Key {n}") for n in range(2)]
    users = [make_person(f"p{n}@example.com") for n in range(8)]
    jobs = {user.pk: [_create_job(user, n) for n in range(10)] for user in users}
    barrier = Barrier(len(users))

    def run(index: int) -> Any:
        connection.ensure_connection()
        barrier.wait()
        try:
            for n, job in enumerate(jobs[users[index].pk]):
                try:
                    spend.promise(spend=job, account=accounts[index % 2])
                except BudgetSpent:
                    continue
                if n % 3 == 0:
                    spend.record_response(job_id=job.job_id, outcome=spend.Outcome.NOT_SENT)
                elif n % 3 == 1:
                    spend.settle(job_id=job.job_id, actual=Decimal("12.5"), basis=Spend.Basis.REPORTED)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(users)) as pool:
        list(pool.map(run, range(len(users))))
    counted = Spend.objects.aggregate(sum=Sum("counted"))["sum"]
    assert counted == sum_used("all", "month") == sum_used("all", "hour") == sum_used("model:veo3_fast", "day")
    assert counted <= 40 * PRICE
    for user in users:
        counted = Spend.objects.filter(user=user).aggregate(sum=Sum("counted"))["sum"]
        assert counted == sum_used(f"user:{user.pk}", "month") == sum_used(f"user:{user.pk}", "hour")


def test_f04_eight_workers_keep_within_a_budget_and_the_rest_waits(alice: User, settings: Settings) -> None:
    settings.MAX_CONCURRENT_VIDEOS = settings.MAX_CONCURRENT_PER_USER = 100
    tasks = [history.make_waiting(alice) for _ in range(12)]
    account = provider_accounts.get_current_account()
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    set_limit(subject="all", period="month", limit=Decimal(3 * PRICE + 1), actor=None)
    barrier = Barrier(8)

    def claim(_: int) -> list[Any]:
        connection.ensure_connection()
        barrier.wait()
        try:
            return [dispatch.claim_next(account.pk) for _ in range(3)]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        claims = [claimed for results in pool.map(claim, range(8)) for claimed in results]
    assert sum(isinstance(claimed, dispatch.Claim) for claimed in claims) == 3
    assert sum_used("all", "month") == 3 * PRICE
    waiting = VideoTask.objects.filter(pk__in=[task.pk for task in tasks], status="queued")
    assert (waiting.count(), waiting.filter(wait_code="budget_month").count()) == (9, 9)
    assert ledger.balance_of(alice) == 0


def _create_job(user: User, n: int) -> Spend:
    return Spend.objects.create(
        job_id=job_id(f"job:{user.pk}-{n}"),
        user=user,
        model="veo3_fast",
        resolution="720p",
        kind="generate",
        user_credits=PRICE,
        estimated=Decimal(PRICE),
        usd_per_credit=Decimal("0.005"),
    )

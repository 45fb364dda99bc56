"""Budget windows match their jobs after every action, and a wrong row is reported."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.audit import budget_checks
from billing.audit import runner as audit_runner
from billing.budgets import usage as budget_usage
from billing.budgets.limits import set_limit
from billing.costs import spend
from billing.models import BudgetWindow, Period, ProviderAccount, Spend
from tests.billing import history
from tests.billing.conftest import NewSpend
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db
Basis, Outcome = Spend.Basis, spend.Outcome


@pytest.fixture(autouse=True)
def _without_limits(settings: Settings) -> None:
    settings.TIME_ZONE = "UTC"
    settings.HOURLY_COST_LIMIT = settings.DAILY_COST_LIMIT = settings.MONTHLY_COST_LIMIT = Decimal(0)


def list_problems(*, deep: bool = False) -> set[str]:
    """The problems that both checks report, as text."""
    checks = (budget_checks.check_window_usage, budget_checks.check_counted_amounts)
    return {str(problem) for check in checks for problem in check(deep=deep)}


def has_no_problems() -> bool:
    return list_problems() == list_problems(deep=True) == set()


def send_job(new_spend: NewSpend, account: ProviderAccount) -> Spend:
    job = new_spend()
    spend.promise(spend=job, account=account)
    job.refresh_from_db()
    return job


# Correct windows


def test_windows_are_correct_for_every_state_of_a_video(alice: User, settings: Settings) -> None:
    settings.MAX_CONCURRENT_PER_USER = 10
    for create_task in (
        history.make_ready, history.make_failed, history.make_cancelled, history.make_requeued, history.make_unconfirmed,
        history.make_generating, history.make_downloading, history.make_waiting,
    ):  # fmt: skip
        create_task(alice)
        assert has_no_problems(), create_task.__name__
    assert BudgetWindow.objects.get(scope="all", period="month").used == 4 * 60, "the others cost nothing"


def test_windows_stay_correct_across_the_end_of_hour_day_and_month(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, bob: User
) -> None:
    manual_clock.at = datetime(2026, 9, 30, 23, 59, tzinfo=UTC)
    below, above, possible, free, returned, open_job = (send_job(new_spend, account) for _ in range(6))
    spend.promise(spend=new_spend(user=bob), account=account)
    for hours in (0, 1, 24):
        manual_clock.at += timedelta(hours=hours)
        assert has_no_problems()
        send_job(new_spend, account)
        assert has_no_problems()
    # Four jobs are settled a day after their windows ended; one is returned and sent again, and one stays open.
    spend.settle(job_id=below.job_id, actual=Decimal("37.5"), basis=Basis.REPORTED)
    spend.settle(job_id=above.job_id, actual=Decimal("75.2501"), basis=Basis.REPORTED)
    spend.settle(job_id=possible.job_id, actual=Decimal(60), basis=Basis.POSSIBLE)
    spend.settle(job_id=free.job_id, actual=Decimal(0), basis=Basis.ASSUMED)
    assert has_no_problems()
    spend.correct(job_id=possible.job_id, actual=Decimal(0), basis=Basis.NOT_SPENT)
    spend.correct(job_id=free.job_id, actual=Decimal("59.9999"), basis=Basis.REPORTED)
    spend.record_response(job_id=returned.job_id, outcome=Outcome.NOT_SENT)
    assert has_no_problems()
    spend.promise(spend=Spend.objects.get(pk=returned.pk), account=account)
    never_sent = new_spend()
    spend.settle(job_id=never_sent.job_id, actual=Decimal(0), basis=Basis.NOT_SPENT)
    assert has_no_problems()
    assert open_job.counted == 60
    september = BudgetWindow.objects.filter(scope="all", period="month", starts_at__month=9).get()
    assert september.used == Decimal("37.5") + Decimal("75.2501") + Decimal("59.9999") + 60 + 60 + 60


def test_raising_or_removing_a_limit_keeps_windows_correct(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    set_limit(subject="all", period="day", limit=Decimal(60), actor=None)
    send_job(new_spend, account)
    job = new_spend()
    with pytest.raises(budget_usage.BudgetSpent):
        spend.promise(spend=job, account=account)
    assert has_no_problems()
    for limit in (Decimal(500), Decimal(1), None):
        set_limit(subject="all", period="day", limit=limit, actor=None)
        assert has_no_problems()


def test_windows_stay_correct_after_a_change_of_the_time_zone(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, settings: Settings
) -> None:
    for zone in ("UTC", "Asia/Shanghai", "Asia/Kathmandu", "America/New_York", "UTC"):
        settings.TIME_ZONE = zone
        job = send_job(new_spend, account)
        manual_clock.at += timedelta(minutes=20)
        spend.settle(job_id=job.job_id, actual=Decimal(50), basis=Basis.REPORTED)
        assert has_no_problems()


def test_deleted_windows_are_no_problem(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    job = send_job(new_spend, account)
    manual_clock.at += timedelta(days=40)
    assert budget_usage.delete_old_windows(manual_clock.at) == 3
    spend.settle(job_id=job.job_id, actual=Decimal(10), basis=Basis.REPORTED)
    assert has_no_problems()


def test_jobs_sent_before_there_were_windows_are_no_problem(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    manual_clock.at = datetime(2026, 9, 30, 23, 50, tzinfo=UTC)
    settled_before, settled_after = send_job(new_spend, account), send_job(new_spend, account)
    BudgetWindow.objects.all().delete()
    Spend.objects.update(counted=0, counted_in=[])
    assert has_no_problems()
    spend.settle(job_id=settled_before.job_id, actual=Decimal(60), basis=Basis.REPORTED)
    manual_clock.at += timedelta(minutes=10)
    send_job(new_spend, account)
    assert has_no_problems()
    spend.settle(job_id=settled_after.job_id, actual=Decimal(60), basis=Basis.REPORTED)
    assert has_no_problems()


# Wrong windows


@pytest.mark.parametrize("scope", ["all", "model:veo3_fast", "user"])
@pytest.mark.parametrize("period", Period)
def test_i6_a_window_that_differs_from_the_sum_of_its_jobs(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, alice: User, scope: str, period: str
) -> None:
    send_job(new_spend, account)
    row = BudgetWindow.objects.get(scope=f"user:{alice.pk}" if scope == "user" else scope, period=period)
    BudgetWindow.objects.filter(pk=row.pk).update(used=Decimal("59.9999"))
    problem = f"I6 budget window {row.scope} {period} {row.starts_at:%Y-%m-%d %H:%M}: holds 59.9999, its jobs count 60"
    assert list_problems() == list_problems(deep=True) == {problem}
    assert problem in map(str, audit_runner.find_problems())


def test_i6_a_window_without_jobs(manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend) -> None:
    send_job(new_spend, account)
    BudgetWindow.objects.create(
        scope="all", period="hour", starts_at=manual_clock.at + timedelta(hours=1), ends_at=manual_clock.at, used=5
    )
    (problem,) = list_problems()
    assert problem.endswith("holds 5, its jobs count 0")


def test_i6_old_windows_are_checked_if_deep(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    send_job(new_spend, account)
    BudgetWindow.objects.filter(scope="all", period="month").update(used=1)
    manual_clock.at = datetime(2026, 10, 1, 23, 59, tzinfo=UTC)
    assert len(list_problems()) == 1, "the month of yesterday is still checked"
    manual_clock.at += timedelta(minutes=1)
    assert list_problems() == set()
    assert len(list_problems(deep=True)) == 1


def test_i6_a_job_counted_with_another_amount_than_its_cost(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    promised, settled = send_job(new_spend, account), send_job(new_spend, account)
    spend.settle(job_id=settled.job_id, actual=Decimal(12), basis=Basis.REPORTED)
    Spend.objects.filter(pk=promised.pk).update(estimated=61)
    Spend.objects.filter(pk=settled.pk).update(actual=13)
    assert list_problems() == {
        f"I6 job:{promised.job_id}: promised, counts 60 in 9 budget windows but costs 61",
        f"I6 job:{settled.job_id}: settled, counts 12 in 9 budget windows but costs 13",
    }


def test_i6_a_waiting_job_that_is_already_counted(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    job = send_job(new_spend, account)
    Spend.objects.update(state="estimated", promised_at=None)
    assert f"I6 job:{job.job_id}: estimated, counts 60 in 9 budget windows but costs 0" in list_problems()


def test_i6_a_job_counted_in_no_window(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    job = send_job(new_spend, account)
    BudgetWindow.objects.update(used=0)
    Spend.objects.update(counted_in=[])
    assert list_problems() == {f"I6 job:{job.job_id}: promised, counts 60 in 0 budget windows but costs 60"}
    Spend.objects.update(counted=0)
    assert list_problems() == {f"I6 job:{job.job_id}: promised, counts 0 in 0 budget windows but costs 60"}

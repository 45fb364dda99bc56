"""The books know what each budget window must hold: sound after every act, and told of when a row says otherwise."""

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
from tests.billing.conftest import NewSpend, SetClock

pytestmark = pytest.mark.django_db
Basis, Outcome = Spend.Basis, spend.Outcome


@pytest.fixture(autouse=True)
def _nothing_is_limited(settings: Settings) -> None:
    settings.TIME_ZONE = "UTC"
    settings.HOURLY_COST_LIMIT = settings.DAILY_COST_LIMIT = settings.MONTHLY_COST_LIMIT = Decimal(0)


def told(*, deep: bool = False) -> set[str]:
    """What the two looks say, as one reads it."""
    checks = (budget_checks.windows_hold_what_counts, budget_checks.jobs_count_what_they_cost)
    return {str(problem) for check in checks for problem in check(deep=deep)}


def sound() -> bool:
    return told() == told(deep=True) == set()


def sent(new_spend: NewSpend, account: ProviderAccount) -> Spend:
    job = new_spend()
    spend.promise(spend=job, account=account)
    job.refresh_from_db()
    return job


# Sound


def test_windows_of_every_state_of_a_video_are_sound(alice: User, settings: Settings) -> None:
    settings.MAX_CONCURRENT_PER_USER = 10
    for make in (
        history.ready, history.failed, history.cancelled, history.requeued, history.unconfirmed,
        history.generating, history.downloading, history.waiting,
    ):  # fmt: skip
        make(alice)
        assert sound(), make.__name__
    assert BudgetWindow.objects.get(scope="all", period="month").used == 4 * 60, "failed, cancelled, sent back: nothing"


def test_windows_are_sound_after_every_act_across_the_end_of_hour_day_and_month(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, bob: User
) -> None:
    still.at = datetime(2026, 9, 30, 23, 59, tzinfo=UTC)
    below, above, lost, spared, returned, later = (sent(new_spend, account) for _ in range(6))
    spend.promise(spend=new_spend(user=bob), account=account)
    for hours in (0, 1, 24):
        still.at += timedelta(hours=hours)
        assert sound()
        sent(new_spend, account)
        assert sound()
    # Each is settled a day after its windows ended, below, at, above its estimate, or not at all.
    spend.settle(job_id=below.job_id, actual=Decimal("37.5"), basis=Basis.REPORTED)
    spend.settle(job_id=above.job_id, actual=Decimal("75.2501"), basis=Basis.REPORTED)
    spend.settle(job_id=lost.job_id, actual=Decimal(60), basis=Basis.POSSIBLE)
    spend.settle(job_id=spared.job_id, actual=Decimal(0), basis=Basis.ASSUMED)
    assert sound()
    spend.correct(job_id=lost.job_id, actual=Decimal(0), basis=Basis.NOT_SPENT)
    spend.correct(job_id=spared.job_id, actual=Decimal("59.9999"), basis=Basis.REPORTED)
    spend.answered(job_id=returned.job_id, outcome=Outcome.NOT_SENT)
    assert sound()
    spend.promise(spend=Spend.objects.get(pk=returned.pk), account=account)
    never = new_spend()
    spend.settle(job_id=never.job_id, actual=Decimal(0), basis=Basis.NOT_SPENT)
    assert sound()
    assert later.counted == 60
    september = BudgetWindow.objects.filter(scope="all", period="month", starts_at__month=9).get()
    assert september.used == Decimal("37.5") + Decimal("75.2501") + Decimal("59.9999") + 60 + 60 + 60


def test_a_limit_raised_or_taken_away_changes_nothing(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    set_limit(subject="all", period="day", limit=Decimal(60), actor=None)
    sent(new_spend, account)
    job = new_spend()
    with pytest.raises(budget_usage.BudgetSpent):
        spend.promise(spend=job, account=account)
    assert sound()
    for limit in (Decimal(500), Decimal(1), None):
        set_limit(subject="all", period="day", limit=limit, actor=None)
        assert sound()


def test_a_site_that_moves_to_another_zone_has_sound_windows(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, settings: Settings
) -> None:
    for zone in ("UTC", "Asia/Shanghai", "Asia/Kathmandu", "America/New_York", "UTC"):
        settings.TIME_ZONE = zone
        job = sent(new_spend, account)
        still.at += timedelta(minutes=20)
        spend.settle(job_id=job.job_id, actual=Decimal(50), basis=Basis.REPORTED)
        assert sound()


def test_windows_that_were_forgotten_are_missed_by_nobody(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    job = sent(new_spend, account)
    still.at += timedelta(days=40)
    assert budget_usage.delete_old_windows(still.at) == 3
    spend.settle(job_id=job.job_id, actual=Decimal(10), basis=Basis.REPORTED)
    assert sound()


def test_what_was_sent_before_there_were_windows_counts_nowhere(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    still.at = datetime(2026, 9, 30, 23, 50, tzinfo=UTC)
    before, under_way = sent(new_spend, account), sent(new_spend, account)
    BudgetWindow.objects.all().delete()
    Spend.objects.update(counted=0, counted_in=[])
    assert sound()
    spend.settle(job_id=before.job_id, actual=Decimal(60), basis=Basis.REPORTED)
    still.at += timedelta(minutes=10)
    sent(new_spend, account)
    assert sound()
    spend.settle(job_id=under_way.job_id, actual=Decimal(60), basis=Basis.REPORTED)
    assert sound()


# Not sound


@pytest.mark.parametrize("scope", ["all", "model:veo3_fast", "user"])
@pytest.mark.parametrize("period", Period)
def test_i6_a_window_that_holds_another_sum_than_its_jobs(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, alice: User, scope: str, period: str
) -> None:
    sent(new_spend, account)
    row = BudgetWindow.objects.get(scope=f"user:{alice.pk}" if scope == "user" else scope, period=period)
    BudgetWindow.objects.filter(pk=row.pk).update(used=Decimal("59.9999"))
    problem = (
        f"I6 budget window {row.scope} {period} {row.starts_at:%Y-%m-%d %H:%M}: holds 59.9999 where its jobs count 60"
    )
    assert told() == told(deep=True) == {problem}
    assert problem in map(str, audit_runner.find_problems())


def test_i6_a_window_that_nobody_counts_in(still: SetClock, account: ProviderAccount, new_spend: NewSpend) -> None:
    sent(new_spend, account)
    BudgetWindow.objects.create(
        scope="all", period="hour", starts_at=still.at + timedelta(hours=1), ends_at=still.at, used=5
    )
    (problem,) = told()
    assert problem.endswith("holds 5 where its jobs count 0")


def test_i6_windows_of_long_ago_are_looked_at_deeply(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    sent(new_spend, account)
    BudgetWindow.objects.filter(scope="all", period="month").update(used=1)
    still.at = datetime(2026, 10, 1, 23, 59, tzinfo=UTC)
    assert len(told()) == 1, "of yesterday's month"
    still.at += timedelta(minutes=1)
    assert told() == set()
    assert len(told(deep=True)) == 1


def test_i6_a_job_that_counts_what_it_does_not_cost(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    promised, settled = sent(new_spend, account), sent(new_spend, account)
    spend.settle(job_id=settled.job_id, actual=Decimal(12), basis=Basis.REPORTED)
    Spend.objects.filter(pk=promised.pk).update(estimated=61)
    Spend.objects.filter(pk=settled.pk).update(actual=13)
    assert told() == {
        f"I6 job:{promised.job_id}: promised, counts 60 in 9 budget windows where it costs 61",
        f"I6 job:{settled.job_id}: settled, counts 12 in 9 budget windows where it costs 13",
    }


def test_i6_a_job_that_waits_and_counts_already(still: SetClock, account: ProviderAccount, new_spend: NewSpend) -> None:
    job = sent(new_spend, account)
    Spend.objects.update(state="estimated", promised_at=None)
    assert f"I6 job:{job.job_id}: estimated, counts 60 in 9 budget windows where it costs 0" in told()


def test_i6_a_job_that_counts_in_no_window(still: SetClock, account: ProviderAccount, new_spend: NewSpend) -> None:
    job = sent(new_spend, account)
    BudgetWindow.objects.update(used=0)
    Spend.objects.update(counted_in=[])
    assert told() == {f"I6 job:{job.job_id}: promised, counts 60 in 0 budget windows where it costs 60"}
    Spend.objects.update(counted=0)
    assert told() == {f"I6 job:{job.job_id}: promised, counts 0 in 0 budget windows where it costs 60"}

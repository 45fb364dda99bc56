"""A task that does not fit a budget waits and never fails; other tasks are sent, and it is sent once the budget allows."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import translation
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.budgets import usage as budget_usage
from billing.credits import ledger
from billing.guard import checks as guard_checks
from billing.models import Alert, BudgetWindow, PaidCall, Spend
from billing.provider import accounts as provider_accounts
from tests.clocks import ManualClock
from tests.videos.pipeline.budgets import FAST, claim, expect_wait, limit, order, reload
from videos.lifecycle import status_changes as lifecycle
from videos.lifecycle.transitions import task_id_of
from videos.models import VideoTask
from videos.pipeline import dispatch
from videos.presentation import progress, tiles
from videos.worker import sweep

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _english() -> object:
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def _no_limits(settings: Settings) -> None:
    settings.TIME_ZONE = "UTC"
    settings.HOURLY_COST_LIMIT = settings.DAILY_COST_LIMIT = settings.MONTHLY_COST_LIMIT = Decimal(0)
    settings.USER_DAILY_COST_LIMIT = Decimal(0)
    settings.MAX_CONCURRENT_PER_USER = settings.MAX_CONCURRENT_VIDEOS = 50


def used(scope: str = "all") -> Decimal:
    row = BudgetWindow.objects.filter(scope=scope, period="day").order_by("-starts_at").first()
    return row.used if row else Decimal(0)


def test_a_task_waits_when_its_limit_is_lowered_and_is_sent_once_it_is_raised(
    manual_clock: ManualClock, provider: int, alice: User
) -> None:
    first, second = order(alice), order(alice)
    limit(FAST)
    assert claim(provider) == first
    wait = expect_wait(provider)
    assert (wait.code, wait.ends_at) == ("budget_day", datetime(2026, 9, 2, tzinfo=UTC))
    waiting_task = reload(second)
    assert (waiting_task.status, waiting_task.wait_code, waiting_task.wait_until) == (
        "queued",
        "budget_day",
        wait.ends_at,
    )
    assert waiting_task.due_at == manual_clock.at + timedelta(seconds=15)
    assert dispatch.claim_next(provider) is None, "not due again yet"
    assert Alert.objects.filter(kind="budget_hard").count() == 1
    limit(2 * FAST)
    manual_clock.sleep(15)
    assert claim(provider) == second
    assert reload(second).wait_code == ""
    assert used() == 2 * FAST
    assert ledger.balance_of(alice) == 0


def test_a_waiting_task_is_sent_when_the_budget_window_ends(
    manual_clock: ManualClock, provider: int, alice: User
) -> None:
    first, second = order(alice), order(alice)
    limit(FAST)
    assert claim(provider) == first
    expect_wait(provider)
    manual_clock.at = datetime(2026, 9, 1, 23, 59, 59, tzinfo=UTC)
    provider_accounts.record_balance(account_id=provider, balance=Decimal(5000))
    expect_wait(provider)
    manual_clock.at = datetime(2026, 9, 2, 0, 0, 14, tzinfo=UTC)
    assert claim(provider) == second
    sweep.tidy()
    assert not Alert.objects.filter(kind="budget_hard", resolved_at=None).exists()


def test_a_cheaper_video_is_sent_when_a_more_expensive_one_does_not_fit(
    manual_clock: ManualClock, provider: int, alice: User
) -> None:
    expensive, cheap = order(alice), order(alice, "veo3_lite")
    last = order(alice, "veo3_lite")
    limit(int(Spend.objects.get(job_id=cheap.pk).estimated))
    assert claim(provider) == cheap
    assert reload(expensive).wait_code == "budget_limit"
    assert expect_wait(provider).code == "budget_day"
    assert reload(last).wait_code == "budget_day"
    assert tiles.describe_progress(progress.measure_progress(reload(expensive), at=manual_clock.at))[0] == (
        "it costs more than the operator's limit; it continues when the limit is raised"
    )


@pytest.mark.parametrize(
    ("subject", "target", "code"),
    [("each_user", {}, "budget_user"), ("model", {"model": "veo3_fast"}, "budget_model")],
)
def test_other_tasks_do_not_wait_for_the_budget_of_one_user_or_model(
    manual_clock: ManualClock, provider: int, alice: User, bob: User, subject: str, target: dict[str, str], code: str
) -> None:
    limited = [order(alice) for _ in range(3)]
    other = order(bob, "veo3_lite")
    limit(FAST, subject=subject, **target)
    assert {claim(provider), claim(provider)} == {limited[0], other}
    assert has_no_claim(provider)
    assert {reload(task).wait_code for task in limited[1:]} == {code}


def has_no_claim(provider: int) -> bool:
    return not isinstance(dispatch.claim_next(provider), dispatch.Claim)


def test_a_claim_holds_back_tasks_for_a_limited_number_of_budgets(
    manual_clock: ManualClock, provider: int, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "MAX_BUDGET_SKIPS", 1)
    alices_task, bobs_task = order(alice), order(bob)
    limit(0, subject="user", user=alice)
    result = dispatch.claim_next(provider)
    assert isinstance(result, guard_checks.Wait)
    assert result.code == "budget_limit"
    assert reload(alices_task).wait_code == "budget_limit"
    assert claim(provider) == bobs_task


def test_a_budget_exhausted_between_check_and_reservation_makes_the_task_wait(
    manual_clock: ManualClock, provider: int, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = order(alice), order(alice)
    limit(FAST)
    monkeypatch.setattr(budget_usage, "states_for", lambda *_: [])
    assert claim(provider) == first
    assert expect_wait(provider).code == "budget_day"
    assert (reload(second).status, reload(second).fence, reload(second).wait_code) == ("queued", 0, "budget_day")
    assert PaidCall.objects.count() == 1
    assert Spend.objects.get(job_id=second.pk).state == "estimated"


def test_unsent_and_failed_videos_release_their_budget(manual_clock: ManualClock, provider: int, alice: User) -> None:
    first, second, third = order(alice), order(alice), order(alice)
    limit(FAST)
    task = claim(provider)
    assert task == first
    expect_wait(provider)
    assert lifecycle.requeue(
        task_id=task.pk, fence=task.fence, wait=guard_checks.Wait("not_sent", manual_clock.at + timedelta(hours=1))
    )
    assert used() == 0
    manual_clock.sleep(15)
    task = claim(provider)
    assert task == second
    assert lifecycle.refuse(task_id=task.pk, fence=task.fence, reason="policy", detail="no")
    assert used() == 0
    manual_clock.sleep(15)
    assert claim(provider) == third
    assert used() == FAST
    assert ledger.balance_of(alice) == FAST


def test_a_task_that_waits_for_a_budget_is_not_cancelled_as_overdue(
    manual_clock: ManualClock, provider: int, alice: User
) -> None:
    order(alice)
    task = order(alice)
    limit(FAST, period="month")
    claim(provider)
    for _ in range(3):
        expect_wait(provider)
        manual_clock.sleep(24 * 3600)
        provider_accounts.record_balance(account_id=provider, balance=Decimal(5000))
        sweep.tidy()
    assert reload(task).status == "queued"
    VideoTask.objects.filter(pk=task.pk).update(wait_code="", wait_until=None)
    sweep.tidy()
    assert reload(task).status == "cancelled"


def test_the_number_in_progress_is_shown_once_half_of_the_limit_is_used(
    manual_clock: ManualClock, provider: int, alice: User, settings: Settings
) -> None:
    client = Client()
    client.force_login(alice)
    settings.MAX_ACTIVE_PER_USER = 3
    order(alice)
    assert "of 3 in progress" not in client.get("/").content.decode()
    order(alice)
    assert "2 of 3 in progress" in client.get("/").content.decode()
    limit(1000, subject="each_user")
    assert "· 2 of 3 in progress" in client.get("/").content.decode()


def test_a_reference_names_a_task_or_something_else(manual_clock: ManualClock, provider: int, alice: User) -> None:
    task = order(alice)
    assert task_id_of(task.reference) == task.pk
    assert task_id_of("job:1") is None


def test_past_the_warning_share_videos_are_slowed_down_before_they_stop(
    manual_clock: ManualClock, provider: int, alice: User, settings: Settings
) -> None:
    # At noon 1,080 of 1,200 credits may be used: 18 videos. The next may be sent after three quarters of the day.
    settings.BREAKER_FAILURES = settings.BREAKER_OF = 50  # allow all of them to run at the same time
    settings.MAX_QUEUE_WAIT_MINUTES = 24 * 60
    limit(20 * FAST)
    unclaimed = {order(alice) for _ in range(19)}
    unclaimed -= {claim(provider) for _ in range(18)}
    wait = expect_wait(provider)
    assert (wait.code, wait.ends_at) == ("budget_pace", datetime(2026, 9, 1, 18, tzinfo=UTC))
    (last_task,) = unclaimed
    waiting_task = reload(last_task)
    assert (waiting_task.status, waiting_task.wait_code, waiting_task.wait_until) == (
        "queued",
        "budget_pace",
        wait.ends_at,
    )
    assert waiting_task.due_at <= manual_clock.at, "it stays due"
    manual_clock.sleep(6 * 3600)
    provider_accounts.record_balance(account_id=provider, balance=Decimal(5000))
    assert claim(provider) == last_task
    assert used() == 19 * FAST

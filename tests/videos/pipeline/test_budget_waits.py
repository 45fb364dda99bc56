"""A task waits for its budget and never fails for it: others go meanwhile, and it goes as soon as it may."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import translation
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.seams import clock
from billing.budgets import policy as budget_policy
from billing.budgets import usage as budget_usage
from billing.budgets.limits import set_limit
from billing.credits import ledger
from billing.guard import checks as guard_checks
from billing.models import Alert, BudgetWindow, PaidCall, Spend
from billing.provider import accounts as provider_accounts
from tests.billing.conftest import SetClock
from tests.people import give_credits
from videos.lifecycle import acts as lifecycle
from videos.lifecycle.transitions import task_id_of
from videos.models import VideoTask
from videos.ordering import orders
from videos.ordering.orders import VideoOrder
from videos.pipeline import dispatch
from videos.presentation import progress, tiles
from videos.worker import sweep

pytestmark = pytest.mark.django_db
FAST = 60


@pytest.fixture(autouse=True)
def _english() -> object:
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def _nothing_is_limited(settings: Settings) -> None:
    settings.TIME_ZONE = "UTC"
    settings.HOURLY_COST_LIMIT = settings.DAILY_COST_LIMIT = settings.MONTHLY_COST_LIMIT = Decimal(0)
    settings.USER_DAILY_COST_LIMIT = Decimal(0)
    settings.MAX_CONCURRENT_PER_USER = settings.MAX_CONCURRENT_VIDEOS = 50


@pytest.fixture
def still() -> Iterator[SetClock]:
    """Our clock, standing still."""
    mine = SetClock()
    with clock.replaced(mine):
        yield mine


@pytest.fixture
def provider(still: SetClock) -> int:
    """The account that new work goes to, with a good balance."""
    current = provider_accounts.get_current_account()
    provider_accounts.record_balance(account_id=current.pk, balance=Decimal(5000))
    return current.pk


def limit(amount: int | None, *, period: str = "day", subject: str = "all", **whose: Any) -> None:
    wanted = None if amount is None else Decimal(amount)
    set_limit(subject=subject, period=period, limit=wanted, actor=None, **whose)


def order(user: User, model: str = "veo3_fast") -> VideoTask:
    wanted = VideoOrder(prompt="a kite", model=model)
    give_credits(user, wanted.quote().user_credits)
    before = VideoTask.objects.count()
    task = orders.create(user=user, order=wanted, idempotency_key=f"{user.pk}-{before}")
    # Our clock stands still; whoever orders first is first all the same.
    VideoTask.objects.filter(pk=task.pk).update(created_at=task.created_at + timedelta(microseconds=before))
    return task


def now(task: VideoTask) -> VideoTask:
    return VideoTask.objects.get(pk=task.pk)


def claimed(provider: int) -> VideoTask:
    step = dispatch.claim_next(provider)
    assert isinstance(step, dispatch.Claim), step
    return step.task


def waits(provider: int) -> guard_checks.Wait:
    step = dispatch.claim_next(provider)
    assert isinstance(step, guard_checks.Wait), step
    return step


def used(scope: str = "all") -> Decimal:
    row = BudgetWindow.objects.filter(scope=scope, period="day").order_by("-starts_at").first()
    return row.used if row else Decimal(0)


def test_a_task_waits_when_a_limit_falls_under_it_and_goes_once_it_is_raised(
    still: SetClock, provider: int, alice: User
) -> None:
    first, second = order(alice), order(alice)
    limit(FAST)
    assert claimed(provider) == first
    wait = waits(provider)
    assert (wait.code, wait.ends_at) == ("budget_day", datetime(2026, 9, 2, tzinfo=UTC))
    held = now(second)
    assert (held.status, held.wait_code, held.wait_until) == ("queued", "budget_day", wait.ends_at)
    assert held.due_at == still.at + timedelta(seconds=15)
    assert dispatch.claim_next(provider) is None, "looked at again only in a while"
    assert Alert.objects.filter(kind="budget_hard").count() == 1
    limit(2 * FAST)
    still.sleep(15)
    assert claimed(provider) == second
    assert now(second).wait_code == ""
    assert used() == 2 * FAST
    assert ledger.balance_of(alice) == 0


def test_a_waiting_task_goes_by_itself_when_the_window_is_over(still: SetClock, provider: int, alice: User) -> None:
    first, second = order(alice), order(alice)
    limit(FAST)
    assert claimed(provider) == first
    waits(provider)
    still.at = datetime(2026, 9, 1, 23, 59, 59, tzinfo=UTC)
    provider_accounts.record_balance(account_id=provider, balance=Decimal(5000))
    waits(provider)
    still.at = datetime(2026, 9, 2, 0, 0, 14, tzinfo=UTC)
    assert claimed(provider) == second
    sweep.tidy()
    assert not Alert.objects.filter(kind="budget_hard", resolved_at=None).exists()


def test_people_read_when_it_goes_on_and_what_else_when_the_limit_was_raised(
    still: SetClock, provider: int, alice: User, settings: Settings
) -> None:
    settings.TIME_ZONE = "UTC"
    order(alice)
    second = order(alice)
    still.sleep(1)
    third = order(alice)
    limit(FAST)
    claimed(provider)
    waits(provider)
    moment = progress.measure_progress(now(second), at=still.at)
    assert (moment.wait_code, moment.wait_until) == ("budget_day", datetime(2026, 9, 2, tzinfo=UTC))
    assert moment.starts_in_s == 12 * 3600 - 1
    assert tiles.describe_progress(moment) == ["today's budget is spent", "continues at 2 Sep, 00:00"]
    assert (
        tiles.summarize_video(now(second), at=still.at).wait_reason
        == "today's budget is spent · continues at 2 Sep, 00:00"
    )
    assert (
        tiles.describe_progress(progress.measure_progress(now(third), at=still.at))[-1]
        == "1 video ahead of it, 1 of them yours"
    )
    limit(None)
    still.sleep(16)
    moment = progress.measure_progress(now(second), at=still.at)
    assert (moment.wait_code, moment.resumes_at) == ("", None)
    assert tiles.describe_progress(moment)[0] == "next in the queue"


def test_a_smaller_video_goes_when_a_bigger_one_does_not_fit(still: SetClock, provider: int, alice: User) -> None:
    big, small = order(alice), order(alice, "veo3_lite")
    last = order(alice, "veo3_lite")
    limit(int(Spend.objects.get(job_id=small.pk).estimated))
    assert claimed(provider) == small
    assert now(big).wait_code == "budget_limit"
    assert waits(provider).code == "budget_day"
    assert now(last).wait_code == "budget_day"
    assert tiles.describe_progress(progress.measure_progress(now(big), at=still.at))[0] == (
        "it costs more than the operator's limit allows; it goes on when that is raised"
    )


@pytest.mark.parametrize(
    ("subject", "whose", "code"),
    [("each_user", {}, "budget_user"), ("model", {"model": "veo3_fast"}, "budget_model")],
)
def test_others_are_not_held_up_by_one_users_or_one_models_budget(
    still: SetClock, provider: int, alice: User, bob: User, subject: str, whose: dict[str, str], code: str
) -> None:
    mine = [order(alice) for _ in range(3)]
    other = order(bob, "veo3_lite")
    limit(FAST, subject=subject, **whose)
    assert {claimed(provider), claimed(provider)} == {mine[0], other}
    assert waits_or_none(provider)
    assert {now(task).wait_code for task in mine[1:]} == {code}


def waits_or_none(provider: int) -> bool:
    return not isinstance(dispatch.claim_next(provider), dispatch.Claim)


def test_a_claim_does_not_look_for_ever(
    still: SetClock, provider: int, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "MAX_BUDGET_SKIPS", 1)
    mine, his = order(alice), order(bob)
    limit(0, subject="user", user=alice)
    step = dispatch.claim_next(provider)
    assert isinstance(step, guard_checks.Wait)
    assert step.code == "budget_limit"
    assert now(mine).wait_code == "budget_limit"
    assert claimed(provider) == his


def test_what_was_read_with_room_and_has_none_when_promised_waits_all_the_same(
    still: SetClock, provider: int, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = order(alice), order(alice)
    limit(FAST)
    monkeypatch.setattr(budget_usage, "states_for", lambda *_: [])
    assert claimed(provider) == first
    assert waits(provider).code == "budget_day"
    assert (now(second).status, now(second).fence, now(second).wait_code) == ("queued", 0, "budget_day")
    assert PaidCall.objects.count() == 1
    assert Spend.objects.get(job_id=second.pk).state == "estimated"


def test_what_did_not_leave_or_failed_gives_its_budget_back(still: SetClock, provider: int, alice: User) -> None:
    first, second, third = order(alice), order(alice), order(alice)
    limit(FAST)
    task = claimed(provider)
    assert task == first
    waits(provider)
    assert lifecycle.requeue(
        task_id=task.pk, fence=task.fence, wait=guard_checks.Wait("not_sent", still.at + timedelta(hours=1))
    )
    assert used() == 0
    still.sleep(15)
    task = claimed(provider)
    assert task == second
    assert lifecycle.refuse(task_id=task.pk, fence=task.fence, reason="policy", detail="no")
    assert used() == 0
    still.sleep(15)
    assert claimed(provider) == third
    assert used() == FAST
    assert ledger.balance_of(alice) == FAST


def test_a_task_that_waits_for_a_budget_is_not_taken_for_forgotten(still: SetClock, provider: int, alice: User) -> None:
    order(alice)
    task = order(alice)
    limit(FAST, period="month")
    claimed(provider)
    for _ in range(3):
        waits(provider)
        still.sleep(24 * 3600)
        provider_accounts.record_balance(account_id=provider, balance=Decimal(5000))
        sweep.tidy()
    assert now(task).status == "queued"
    VideoTask.objects.filter(pk=task.pk).update(wait_code="", wait_until=None)
    sweep.tidy()
    assert now(task).status == "cancelled"


def test_an_order_that_no_budget_has_room_for_is_refused_and_operators_are_told(
    still: SetClock, provider: int, alice: User
) -> None:
    limit(FAST)
    order(alice)
    claimed(provider)
    with pytest.raises(budget_policy.SiteBudgetSpent) as refusal:
        order(alice)
    assert refusal.value.code == "budget_spent"
    assert VideoTask.objects.count() == 1
    assert ledger.balance_of(alice) == FAST
    assert Alert.objects.get(kind="budget_hard").resolved_at is None


def test_the_studio_says_how_many_more_and_why_none(still: SetClock, provider: int, alice: User) -> None:
    client = Client()
    client.force_login(alice)

    def pay(**asked: str) -> str:
        page = client.get("/", asked).content.decode()
        start = page.find('class="pay-limits')
        return " ".join(page[start : page.find("</p>", start)].split(">", 1)[-1].split()) if start >= 0 else ""

    assert pay() == ""
    limit(150, subject="each_user")
    assert pay() == "2 more of these until 2 Sep, 00:00"
    order(alice)
    assert pay() == "1 more of these until 2 Sep, 00:00"
    order(alice)
    assert pay() == "No more of these until 2 Sep, 00:00; a cheaper one is still possible"
    limit(120, subject="each_user")
    assert pay() == "Your limit is reached until 2 Sep, 00:00"
    limit(None, subject="each_user")
    limit(120)
    claimed(provider), claimed(provider)
    assert pay() == "The budget for this is used up until 2 Sep, 00:00"
    limit(FAST - 1)
    assert pay() == "More than the operator allows for one video"
    limit(None)
    assert pay() == ""


def test_the_number_in_progress_is_shown_once_half_of_the_limit_is_used(
    still: SetClock, provider: int, alice: User, settings: Settings
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


def test_the_limits_of_a_person_stand_on_the_page_of_credits(
    still: SetClock, provider: int, alice: User, settings: Settings
) -> None:
    client = Client()
    client.force_login(alice)

    def shown() -> str:
        page = client.get("/credits/").content.decode()
        start = page.find('<dl class="limits')
        return " ".join(page[start : page.find("</dl>", start)].split())

    assert "0 of at most 200 videos" in shown()
    assert "Today" not in shown()
    order(alice)
    limit(200, subject="each_user")
    assert "about 2 more Fast" in shown()
    assert "resets at 2 Sep, 00:00" in shown()
    limit(60, subject="each_user", period="hour")
    assert "This hour" in shown()
    assert "used up" in shown()
    assert "meter-warn" in shown()
    limit(0, subject="each_user", period="month")
    assert "This month" in shown()


def test_a_reference_names_a_task_or_something_else(still: SetClock, provider: int, alice: User) -> None:
    task = order(alice)
    assert task_id_of(task.reference) == task.pk
    assert task_id_of("job:1") is None


def test_past_the_warning_share_videos_slow_down_before_they_stop(
    still: SetClock, provider: int, alice: User, settings: Settings
) -> None:
    # At noon 1,080 of 1,200 are free: 18 videos. The next is due when three quarters of the day are over.
    settings.BREAKER_FAILURES = settings.BREAKER_OF = 50  # so many under way at once
    settings.MAX_QUEUE_WAIT_MINUTES = 24 * 60
    limit(20 * FAST)
    waiting = {order(alice) for _ in range(19)}
    waiting -= {claimed(provider) for _ in range(18)}
    wait = waits(provider)
    assert (wait.code, wait.ends_at) == ("budget_pace", datetime(2026, 9, 1, 18, tzinfo=UTC))
    (left,) = waiting
    held = now(left)
    assert (held.status, held.wait_code, held.wait_until) == ("queued", "budget_pace", wait.ends_at)
    assert held.due_at <= still.at, "it stays due"
    still.sleep(6 * 3600)
    provider_accounts.record_balance(account_id=provider, balance=Decimal(5000))
    assert claimed(provider) == left
    assert used() == 19 * FAST


def test_who_would_wait_too_long_for_a_slow_budget_is_told_when_to_come_back(
    still: SetClock, provider: int, alice: User
) -> None:
    limit(20 * FAST)
    for _ in range(18):
        order(alice)
    with pytest.raises(budget_policy.SlowedDown) as refused:
        order(alice)
    assert refused.value.until == datetime(2026, 9, 1, 18, tzinfo=UTC)
    assert "this one at 18:00" in str(refused.value)
    assert ledger.balance_of(alice) == FAST
    assert not Alert.objects.filter(kind="budget_hard").exists()

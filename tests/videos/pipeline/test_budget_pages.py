"""What users and operators read while a budget is exhausted."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import translation
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.budgets import policy as budget_policy
from billing.credits import ledger
from billing.models import Alert
from tests.clocks import ManualClock
from tests.videos.pipeline.budgets import FAST, claim, expect_wait, limit, order, reload
from videos.models import VideoTask
from videos.presentation import progress, tiles

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


def test_users_read_when_their_video_is_sent_and_another_text_once_the_limit_was_raised(
    manual_clock: ManualClock, provider: int, alice: User, settings: Settings
) -> None:
    settings.TIME_ZONE = "UTC"
    order(alice)
    second = order(alice)
    manual_clock.sleep(1)
    third = order(alice)
    limit(FAST)
    claim(provider)
    expect_wait(provider)
    current_progress = progress.measure_progress(reload(second), at=manual_clock.at)
    assert (current_progress.wait_code, current_progress.wait_until) == ("budget_day", datetime(2026, 9, 2, tzinfo=UTC))
    assert current_progress.starts_in_s == 12 * 3600 - 1
    assert tiles.describe_progress(current_progress) == ["today's budget is spent", "continues at 2 Sep, 00:00"]
    assert (
        tiles.summarize_video(reload(second), at=manual_clock.at).wait_reason
        == "today's budget is spent · continues at 2 Sep, 00:00"
    )
    assert (
        tiles.describe_progress(progress.measure_progress(reload(third), at=manual_clock.at))[-1]
        == "1 video ahead of it, 1 of them yours"
    )
    limit(None)
    manual_clock.sleep(16)
    current_progress = progress.measure_progress(reload(second), at=manual_clock.at)
    assert (current_progress.wait_code, current_progress.resumes_at) == ("", None)
    assert tiles.describe_progress(current_progress)[0] == "next in the queue"


def test_an_order_that_fits_no_budget_is_refused_and_operators_are_alerted(
    manual_clock: ManualClock, provider: int, alice: User
) -> None:
    limit(FAST)
    order(alice)
    claim(provider)
    with pytest.raises(budget_policy.SiteBudgetSpent) as refusal:
        order(alice)
    assert refusal.value.code == "budget_spent"
    assert VideoTask.objects.count() == 1
    assert ledger.balance_of(alice) == FAST
    assert Alert.objects.get(kind="budget_hard").resolved_at is None


def test_the_studio_shows_how_many_more_videos_the_limits_allow(
    manual_clock: ManualClock, provider: int, alice: User
) -> None:
    client = Client()
    client.force_login(alice)

    def limits_text(**fields: str) -> str:
        page = client.get("/", fields).content.decode()
        start = page.find('class="pay-limits')
        return " ".join(page[start : page.find("</p>", start)].split(">", 1)[-1].split()) if start >= 0 else ""

    assert limits_text() == ""
    limit(150, subject="each_user")
    assert limits_text() == "2 more of these until 2 Sep, 00:00"
    order(alice)
    assert limits_text() == "1 more of these until 2 Sep, 00:00"
    order(alice)
    assert limits_text() == "No more of these until 2 Sep, 00:00; a cheaper one is still possible"
    limit(120, subject="each_user")
    assert limits_text() == "Your limit is reached until 2 Sep, 00:00"
    limit(None, subject="each_user")
    limit(120)
    claim(provider), claim(provider)
    assert limits_text() == "The budget for this is used up until 2 Sep, 00:00"
    limit(FAST - 1)
    assert limits_text() == "More than the operator allows for one video"
    limit(None)
    assert limits_text() == ""


def test_a_users_limits_are_on_the_credits_page(
    manual_clock: ManualClock, provider: int, alice: User, settings: Settings
) -> None:
    client = Client()
    client.force_login(alice)

    def limits_text() -> str:
        page = client.get("/credits/").content.decode()
        start = page.find('<dl class="limits')
        return " ".join(page[start : page.find("</dl>", start)].split())

    assert "0 of at most 200 videos" in limits_text()
    assert "Today" not in limits_text()
    order(alice)
    limit(200, subject="each_user")
    assert "about 2 more Fast" in limits_text()
    assert "resets at 2 Sep, 00:00" in limits_text()
    limit(60, subject="each_user", period="hour")
    assert "This hour" in limits_text()
    assert "used up" in limits_text()
    assert "meter-warn" in limits_text()
    limit(0, subject="each_user", period="month")
    assert "This month" in limits_text()


def test_an_order_that_would_wait_too_long_for_a_slowed_budget_is_refused_with_a_time(
    manual_clock: ManualClock, provider: int, alice: User
) -> None:
    limit(20 * FAST)
    for _ in range(18):
        order(alice)
    with pytest.raises(budget_policy.SlowedDown) as refused:
        order(alice)
    assert refused.value.until == datetime(2026, 9, 1, 18, tzinfo=UTC)
    assert "this one could start at 18:00" in str(refused.value)
    assert ledger.balance_of(alice) == FAST
    assert not Alert.objects.filter(kind="budget_hard").exists()

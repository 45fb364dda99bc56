"""The reason why nothing is sent is the same on every page and in the API: budgets, reserved credits, circuit breaker."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.budgets import limits
from billing.budgets import state as budget_state
from billing.budgets import usage as budget_usage
from billing.budgets.state import State
from billing.common.periods import window_at
from billing.costs import spend
from billing.guard import checks as guard_checks
from billing.models import Alert, BalanceSnapshot, BudgetWindow, Price, ProviderAccount, Spend
from billing.provider import accounts as provider_accounts
from tests.billing import history
from tests.billing.conftest import NewSpend
from tests.billing.operator_pages.dashboard_page import AT, count_order, read_headline, read_page_text, use_budget
from tests.clocks import ManualClock
from videos.models import VideoTask
from videos.ordering import availability
from videos.pipeline import dispatch

pytestmark = pytest.mark.django_db

ADDRESS = "/api/admin/cost-monitoring"


@pytest.fixture(autouse=True)
def _fixed_site(manual_clock: ManualClock, settings: Settings) -> None:
    manual_clock.at = AT
    settings.TIME_ZONE = "UTC"
    settings.HOURLY_COST_LIMIT = settings.MONTHLY_COST_LIMIT = Decimal(0)
    settings.DAILY_COST_LIMIT = Decimal(1000)
    settings.MAX_QUEUE_WAIT_MINUTES = 100_000


def read_generation(staff: Client) -> dict[str, object]:
    return json.loads(staff.get(ADDRESS).text)["generation"]  # type: ignore[no-any-return]


def todays_budget() -> State:
    return next(state for state in budget_usage.list_states(AT) if state.scope == "all" and state.period == "day")


def set_used_today(used: int) -> None:
    BudgetWindow.objects.filter(scope="all", period="day").delete()
    use_budget(used)


# Budgets


@pytest.mark.parametrize("pacing", [True, False])
def test_a_budget_too_low_for_the_videos_waiting_is_the_reason_on_every_page(
    staff: Client, working_account: ProviderAccount, alice: User, settings: Settings, pacing: bool
) -> None:
    settings.BUDGET_PACING = pacing
    for _ in range(2):
        history.make_waiting(alice)
    for hours_ago in range(4):
        count_order(AT - timedelta(hours=hours_ago), credits=240)
    set_used_today(960)
    result = dispatch.claim_next(working_account.pk)
    assert isinstance(result, guard_checks.Wait)
    assert set(VideoTask.objects.values_list("wait_code", flat=True)) == {"budget_day"}
    assert Alert.objects.get().kind == "budget_hard"
    headline, action = read_headline(staff)
    assert headline == (
        "Waiting for the next budget. Today's budget is too low for the videos waiting: 960 of 1,000 are used. "
        "The next one starts tomorrow 00:00. Orders keep their place in the queue."
    )
    assert action == "Raise the budget…"
    assert "Today 960 of 1,000 · 96 % too low for the videos waiting · resets tomorrow 00:00" in read_page_text(staff)
    assert read_generation(staff) == {
        "state": "budget",
        "account": "kie.ai",
        "breaker": "closed",
        "scope": "all",
        "period": "day",
        "until": "2026-09-02T00:00:00+00:00",
    }
    (day,) = [limit for limit in staff.get(ADDRESS).json()["limits"] if limit["limit"]]
    assert (day["isSpent"], day["left"]) == (True, 40)
    # A waiting video that is cheap enough can be sent.
    Spend.objects.filter(user=alice).first().delete()  # type: ignore[union-attr]
    Spend.objects.filter(user=alice).update(estimated=Decimal(30))
    assert read_headline(staff)[0].startswith("Generating")
    assert read_generation(staff)["state"] == "working"


@pytest.mark.parametrize("pacing", [True, False])
def test_a_budget_below_the_cheapest_price_counts_as_spent(
    staff: Client, working_account: ProviderAccount, settings: Settings, pacing: bool
) -> None:
    settings.BUDGET_PACING = pacing
    Price.objects.exclude(provider_credits=60).delete()
    set_used_today(960)
    headline, action = read_headline(staff)
    assert headline.startswith(
        "Waiting for the next budget. Today's budget is spent: 960 of 1,000. The next one starts"
    )
    assert action == "Raise the budget…"
    assert "Today 960 of 1,000 · 96 % spent · resets tomorrow 00:00" in read_page_text(staff)
    assert read_generation(staff)["state"] == "budget"
    list_page = staff.get("/admin/billing/budget/").content.decode()
    assert '<progress class="meter meter-bad" max="100" value="96"' in list_page
    set_used_today(940)
    assert read_headline(staff)[0].startswith("Generating")
    assert read_generation(staff)["state"] == "working"


def test_a_limit_below_any_price_does_not_mention_a_next_budget(
    staff: Client, working_account: ProviderAccount, settings: Settings
) -> None:
    settings.DAILY_COST_LIMIT = Decimal(20)
    headline, action = read_headline(staff)
    assert (
        headline
        == "Not generating. A budget of 20 is below the price of any video: nothing is sent until it is raised."
    )
    assert action == "Raise the budget…"


def test_the_usable_budget_is_whole_videos(working_account: ProviderAccount, olga: User, new_spend: NewSpend) -> None:
    set_used_today(905)
    assert (todays_budget().room, todays_budget().usable, todays_budget().is_spent) == (95, 90, False)
    Price.objects.all().delete()
    assert (todays_budget().cheapest_job, todays_budget().usable, todays_budget().is_spent) == (0, 95, False)
    limits.set_limit(subject="all", period="day", limit=None, actor=olga)
    assert (todays_budget().usable, todays_budget().is_spent, todays_budget().is_used_up) == (None, False, False)
    limits.set_limit(subject="all", period="day", limit=Decimal(905), actor=olga)
    assert (todays_budget().is_spent, todays_budget().is_used_up) == (True, True)


def test_a_waiting_video_counts_in_its_own_budgets(
    working_account: ProviderAccount, alice: User, olga: User, new_spend: NewSpend
) -> None:
    new_spend()
    Spend.objects.update(estimated=Decimal(250))
    limits.set_limit(subject="model", period="day", model="veo3_fast", limit=Decimal(300), actor=olga)
    limits.set_limit(subject="model", period="day", model="veo3_lite", limit=Decimal(300), actor=olga)
    limits.set_limit(subject="user", period="day", user=alice, limit=Decimal(300), actor=olga)
    limits.set_limit(subject="all", period="hour", limit=Decimal(200), actor=olga)
    cheapest = {
        (state.scope, str(state.period)): (state.cheapest_new, state.cheapest_waiting)
        for state in budget_usage.list_states(AT)
    }
    assert cheapest == {
        # A video dearer than the whole limit does not count as waiting for it.
        ("all", "hour"): (30, None),
        ("all", "day"): (30, 250),
        ("all", "month"): (30, 250),
        ("model:veo3_fast", "day"): (60, 250),
        ("model:veo3_lite", "day"): (30, None),
        (f"user:{alice.pk}", "day"): (30, None),
    }
    # Future prices do not count.
    price = Price.objects.filter(model="veo3_lite", resolution="720p", kind="generate").latest("valid_from")
    price.pk, price.valid_from, price.provider_credits = None, AT + timedelta(hours=1), Decimal(10)
    price.save()
    assert todays_budget().cheapest_new == 30


def test_of_several_spent_budgets_the_one_that_ends_last_blocks(settings: Settings) -> None:
    settings.MONTHLY_COST_LIMIT = Decimal(5000)
    use_budget(1000)
    use_budget(5000, "month")
    blocking = budget_state.find_blocking_state(budget_usage.list_states(AT))
    assert blocking is not None
    assert blocking.window == window_at("month", AT)
    assert budget_state.find_blocking_state([]) is None


# Reserved balances


def test_the_current_status_does_not_depend_on_the_range(
    staff: Client, working_account: ProviderAccount, new_spend: NewSpend
) -> None:
    spend.promise(spend=new_spend(), account=working_account)
    Spend.objects.update(estimated=Decimal(300))
    BalanceSnapshot.objects.all().delete()
    BalanceSnapshot.objects.create(account=working_account, balance=9000, promised=0, taken_at=AT - timedelta(days=3))
    BalanceSnapshot.objects.create(account=working_account, balance=700, promised=300, taken_at=AT)
    ProviderAccount.objects.update(balance=700, balance_at=AT)
    for query in ("", "?from=2026-08-28&to=2026-08-29", "?range=30d"):
        text = read_page_text(staff, query)
        assert "Not generating. The provider balance is 700; new videos stop at 500." in text, query
        assert "400 available · 300 reserved" in text, query
    assert read_generation(staff)["state"] == "critical_balance"


def test_credits_reserved_since_the_last_reading_are_not_available(
    staff: Client, working_account: ProviderAccount, manual_clock: ManualClock, new_spend: NewSpend
) -> None:
    provider_accounts.record_balance(account_id=working_account.pk, balance=Decimal(540))
    manual_clock.sleep(1)
    job = new_spend()
    spend.promise(spend=job, account=working_account)
    for _ in range(2):
        working_account.refresh_from_db()
        assert provider_accounts.get_available_balance(working_account) == 480
        assert "480 available · 60 reserved" in read_page_text(staff)
        assert read_headline(staff)[0].startswith(
            "Not generating. The provider balance is 540; new videos stop at 500."
        )
        assert staff.get(ADDRESS).json()["available"] == 480
        assert read_generation(staff)["state"] == "critical_balance"
        # Settled after the reading, so the balance does not show it yet.
        spend.record_response(job_id=job.job_id, outcome=spend.Outcome.ACCEPTED)
        spend.settle(job_id=job.job_id, actual=Decimal(60), basis=Spend.Basis.REPORTED)
    provider_accounts.record_balance(account_id=working_account.pk, balance=Decimal(580))
    assert "580 available · 0 reserved" in read_page_text(staff)


# The breaker


def test_a_breaker_whose_pause_is_over_waits_for_the_next_order(
    staff: Client, working_account: ProviderAccount, alice: User
) -> None:
    rows = ProviderAccount.objects.filter(pk=working_account.pk)
    rows.update(breaker="open", breaker_until=AT + timedelta(minutes=1))
    assert read_headline(staff)[0].startswith("Waiting for the provider.")
    restriction = availability.check_availability(user=alice, quote=None).restriction
    assert restriction is not None
    assert (restriction.title, restriction.accepts_orders) == ("The provider has problems", True)
    rows.update(breaker_until=AT)
    headline, action = read_headline(staff)
    assert headline == (
        "Ready to try the provider again. The provider failed earlier, the pause after that is over, and no video is waiting. "
        "The next order is accepted and sent first, as a test; once that succeeds, the others follow."
    )
    assert action == "View the account"
    restriction = availability.check_availability(user=alice, quote=None).restriction
    assert restriction is not None
    assert (restriction.title, restriction.accepts_orders) == ("The provider had problems", True)
    assert "the next order is sent first" in restriction.text
    history.make_waiting(alice)
    assert read_headline(staff)[0].startswith("Waiting for the provider.")

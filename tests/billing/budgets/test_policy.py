"""The effect of budgets on a new order and on a waiting job: the texts, and when the job continues."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import User
from billing.budgets import policy as budget_policy
from billing.budgets import usage as budget_usage
from billing.costs import spend
from billing.guard import checks as guard_checks
from billing.guard import wait_reasons
from billing.models import Alert, BudgetWindow, ProviderAccount, Spend
from billing.pricing import prices
from tests.billing.budget_helpers import fast_quote, list_alerts, set_test_limit
from tests.clocks import ManualClock

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("english", "unlimited")]
NewSpend = Callable[..., Spend]


def find_refusal(user: User, manual_clock: ManualClock) -> tuple[str, str] | None:
    order_refusal = budget_policy.find_refusal(user=user, quote=fast_quote(), at=manual_clock.at)
    return None if order_refusal is None else (order_refusal.code, str(order_refusal))


def test_without_limits_every_order_is_accepted(manual_clock: ManualClock, alice: User) -> None:
    assert find_refusal(alice, manual_clock) is None
    assert budget_usage.user_allowance(alice) is None


def test_the_users_limit_counts_used_credits_and_waiting_jobs(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, alice: User, bob: User
) -> None:
    set_test_limit("200", subject="each_user")
    spend.promise(spend=new_spend(), account=account)
    new_spend()
    assert find_refusal(alice, manual_clock) is None
    new_spend()
    allowance = budget_usage.user_allowance(alice)
    assert allowance is not None
    assert (allowance.state.limit, allowance.state.used, allowance.unsent, allowance.left) == (200, 60, 120, 20)
    with timezone.override("America/New_York"):
        assert find_refusal(alice, manual_clock) == (
            "user_budget_spent",
            "You have reached your limit until 20:00. Nothing was charged; please try again then.",
        )
    assert find_refusal(bob, manual_clock) is None


def test_a_refusal_names_the_credits_left_if_a_cheaper_video_fits(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, alice: User
) -> None:
    set_test_limit("100", subject="user", user=alice)
    spend.promise(spend=new_spend(), account=account)
    assert find_refusal(alice, manual_clock) == (
        "user_budget_spent",
        "This video costs 60 credits, but your limit until 2 Sep, 00:00 has only about 40 credits left. "
        "Choose a cheaper model or resolution, or try again then. Nothing was charged.",
    )


def test_the_room_is_never_negative(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, alice: User
) -> None:
    new_spend()
    set_test_limit("30", subject="each_user", period="hour")
    set_test_limit("30", subject="each_user")
    allowance = budget_usage.user_allowance(alice)
    assert allowance is not None
    assert (allowance.left, allowance.state.period) == (0, "day")


@pytest.mark.parametrize(
    ("at", "waiting", "until"),
    [("12:00", 0, None), ("12:00", 1, "14:00"), ("12:59", 1, "14:00"), ("12:00", 9, "22:00"), ("12:59", 9, "22:00")],
)
def test_an_order_waits_for_the_next_hour_only_within_the_maximum_wait(
    manual_clock: ManualClock,
    account: ProviderAccount,
    new_spend: NewSpend,
    alice: User,
    at: str,
    waiting: int,
    until: str | None,
) -> None:
    """This hour's budget is spent, each waiting job uses up a later hour's budget, and the maximum wait is an hour."""
    set_test_limit("60", period="hour")
    manual_clock.at = datetime.fromisoformat(f"2026-09-01T{at}").replace(tzinfo=UTC)
    spend.promise(spend=new_spend(), account=account)
    for _ in range(waiting):
        new_spend()
    refusal = budget_policy.find_refusal(user=alice, quote=fast_quote(), at=manual_clock.at)
    assert (refusal and f"{refusal.until:%H:%M}") == until


def test_a_spent_daily_budget_refuses_until_shortly_before_midnight(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, alice: User
) -> None:
    set_test_limit("60")
    spend.promise(spend=new_spend(), account=account)
    assert find_refusal(alice, manual_clock) == (
        "budget_spent",
        "The budget for new videos is spent until 2 Sep, 00:00. Nothing was charged; please try again then.",
    )
    manual_clock.at = datetime(2026, 9, 1, 23, 0, tzinfo=UTC)
    assert find_refusal(alice, manual_clock) is None


def test_a_nearly_spent_daily_budget_suggests_a_cheaper_video(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, alice: User
) -> None:
    set_test_limit("115")
    spend.promise(spend=new_spend(), account=account)
    code, sentence = find_refusal(alice, manual_clock) or ("", "")
    assert code == "budget_spent"
    assert "is too small for this one. Choose a cheaper model or resolution" in sentence


def test_a_spent_model_budget_suggests_other_models(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, alice: User
) -> None:
    set_test_limit("60", subject="model", model="veo3_fast", period="month")
    spend.promise(spend=new_spend(), account=account)
    assert find_refusal(alice, manual_clock) == (
        "budget_spent",
        "The budget for this model is spent until 1 Oct, 00:00. "
        "Nothing was charged; choose another model, or try again then.",
    )


@pytest.mark.parametrize(
    ("amount", "sentence"),
    [
        (
            "59",
            "This video costs more than the operator allows. "
            "Choose a cheaper model or resolution; nothing was charged.",
        ),
        (
            "0",
            "No new videos can be made now: the operator's limit is below the cost of every video. "
            "Nothing was charged.",
        ),
    ],
)
def test_an_order_above_the_whole_limit_is_refused_and_raises_no_alert(
    manual_clock: ManualClock, alice: User, amount: str, sentence: str
) -> None:
    set_test_limit(amount, period="hour")
    set_test_limit("60", subject="each_user")
    assert find_refusal(alice, manual_clock) == ("above_limit", sentence)
    refusal = budget_policy.find_refusal(user=alice, quote=fast_quote(), at=manual_clock.at)
    assert refusal is not None
    assert refusal.until is None
    budget_policy.alert_operators(refusal)
    assert list_alerts("budget_hard") == [], "it follows from the operator's limit"


def test_refused_orders_raise_an_alert(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, alice: User
) -> None:
    set_test_limit("60")
    spend.promise(spend=new_spend(), account=account)
    refusal = budget_policy.find_refusal(user=alice, quote=fast_quote(), at=manual_clock.at)
    assert refusal is not None
    budget_policy.alert_operators(refusal)
    assert list_alerts("budget_hard") == [("all:day 60", 1, True)]


# Waiting jobs


def test_waiting_jobs_without_room_are_listed(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, alice: User, bob: User
) -> None:
    set_test_limit("100", subject="each_user")
    set_test_limit("90")
    set_test_limit("70", subject="model", model="veo3_fast")
    spend.promise(spend=new_spend(), account=account)
    job_of_alice, _job_of_bob = new_spend(), new_spend(user=bob)
    states = {
        state.scope: state
        for state in budget_usage.states_for(["all", f"user:{alice.pk}", "model:veo3_fast"], manual_clock.at)
        if state.period == "day"
    }
    assert [job.pk for job in budget_usage.jobs_without_room(states[f"user:{alice.pk}"], above_limit=False)] == [
        job_of_alice.pk
    ]
    assert budget_usage.jobs_without_room(states["all"], above_limit=False).count() == 2
    assert budget_usage.jobs_without_room(states["model:veo3_fast"], above_limit=False).count() == 2
    assert not budget_usage.jobs_without_room(states["all"], above_limit=True).exists()
    assert budget_usage.blocks_every_job(states["all"])
    assert not budget_usage.blocks_every_job(states["model:veo3_fast"])
    set_test_limit("150")
    assert not budget_usage.blocks_every_job(
        next(state for state in budget_usage.list_states(manual_clock.at) if state.budget_key)
    )


@pytest.mark.parametrize(
    ("subject", "period", "code"),
    [
        ("all", "hour", "budget_hour"),
        ("all", "day", "budget_day"),
        ("all", "month", "budget_month"),
        ("each_user", "day", "budget_user"),
        ("model", "day", "budget_model"),
    ],
)
def test_a_task_waits_for_its_budget_with_reason_and_end(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, subject: str, period: str, code: str
) -> None:
    set_test_limit("60", subject=subject, period=period, model="veo3_fast" if subject == "model" else "")
    spend.promise(spend=new_spend(), account=account)
    job = new_spend()
    wait = guard_checks.check_dispatch(estimate=job, account=account, running=0, running_of_user=0)
    assert wait is not None
    assert wait.exhausted_budget is not None
    assert (wait.code, wait.until) == (code, manual_clock.at + guard_checks.BUDGET_RECHECK_INTERVAL)
    assert wait.ends_at == wait.exhausted_budget.window.ends_at
    assert str(wait_reasons.OWNER_TEXTS[code])
    set_test_limit("59", subject=subject, period=period, model="veo3_fast" if subject == "model" else "")
    wait = guard_checks.check_dispatch(estimate=job, account=account, running=0, running_of_user=0)
    assert wait is not None
    assert (wait.code, wait.ends_at) == ("budget_limit", None)
    assert str(wait_reasons.OWNER_TEXTS["budget_limit"])


@pytest.mark.parametrize(("subject", "code"), [("all", "budget_hour"), ("model", "budget_model")])
def test_the_delay_of_an_accepted_order_is_known(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, alice: User, subject: str, code: str
) -> None:
    set_test_limit("110", subject=subject, period="hour", model="veo3_fast" if subject == "model" else "")
    assert budget_policy.decide(user=alice, quote=fast_quote(), at=manual_clock.at) == budget_policy.Decision(
        None, None
    )
    new_spend()
    expected = budget_policy.Delay(
        code, manual_clock.at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    )
    decision = budget_policy.decide(user=alice, quote=fast_quote(), at=manual_clock.at)
    assert decision == budget_policy.Decision(None, expected), "waiting jobs are sent first"
    assert str(wait_reasons.OWNER_TEXTS[code])


def test_an_order_delayed_shortly_by_pacing_is_accepted(manual_clock: ManualClock, alice: User) -> None:
    # At noon 1,080 of 1,200 are released, ten more each hour: the 1,084 that this order needs, at 12:24.
    set_test_limit("1200")
    midnight = manual_clock.at - timedelta(hours=12)
    BudgetWindow.objects.create(
        scope="all", period="day", starts_at=midnight, ends_at=midnight + timedelta(days=1), used=Decimal(1024)
    )
    delay = budget_policy.decide(user=alice, quote=fast_quote(), at=manual_clock.at).delay
    assert delay == budget_policy.Delay("budget_pace", manual_clock.at + timedelta(minutes=24))
    assert str(wait_reasons.OWNER_TEXTS["budget_pace"])


def test_an_order_delayed_too_long_by_pacing_is_refused(manual_clock: ManualClock, alice: User) -> None:
    # At noon 1,080 of 1,200 are released; 60 more take six hours.
    set_test_limit("1200")
    quote = prices.get_quote(model="veo3_fast", resolution="720p")
    assert budget_policy.find_refusal(user=alice, quote=quote, at=manual_clock.at) is None
    midnight = manual_clock.at - timedelta(hours=12)
    BudgetWindow.objects.create(
        scope="all", period="day", starts_at=midnight, ends_at=midnight + timedelta(days=1), used=Decimal(1075)
    )
    find_refusal = budget_policy.find_refusal(user=alice, quote=quote, at=manual_clock.at)
    assert isinstance(find_refusal, budget_policy.SlowedDown)
    assert "Nothing was charged" in str(find_refusal)
    budget_policy.alert_operators(find_refusal)
    assert not Alert.objects.exists()


def test_a_job_delayed_by_pacing_knows_its_start(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    # At noon 1,080 of 1,200 are released; the 1,135 that this job needs are released at 17:30.
    set_test_limit("1200")
    midnight = manual_clock.at - timedelta(hours=12)
    row = BudgetWindow.objects.create(
        scope="all", period="day", starts_at=midnight, ends_at=midnight + timedelta(days=1), used=Decimal(1075)
    )
    assert str(row) == "all day 2026-09-01 00:00: 1075"
    job, starts_at = new_spend(), midnight + timedelta(hours=17, minutes=30)
    wait = guard_checks.check_dispatch(estimate=job, account=account, running=0, running_of_user=0)
    assert wait == guard_checks.Wait(
        guard_checks.SLOWED, manual_clock.at + guard_checks.BUDGET_RECHECK_INTERVAL, ends_at=starts_at
    )
    manual_clock.at = starts_at - timedelta(seconds=1)
    account.balance_at = manual_clock.at
    wait = guard_checks.check_dispatch(estimate=job, account=account, running=0, running_of_user=0)
    assert wait == guard_checks.Wait(guard_checks.SLOWED, starts_at, ends_at=starts_at)
    manual_clock.at = starts_at
    assert guard_checks.check_dispatch(estimate=job, account=account, running=0, running_of_user=0) is None

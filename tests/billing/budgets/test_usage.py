"""Usage of budgets: counted when a job is sent, in every window; released, corrected; changed limits apply immediately."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.seams import clock
from billing.budgets import usage as budget_usage
from billing.budgets.limits import Subject, limit_key, limits_for
from billing.costs import spend
from billing.models import Budget, BudgetWindow, Period, ProviderAccount, Spend
from tests.billing.budget_helpers import expect_refusal, set_test_limit
from tests.clocks import ManualClock
from tests.jobs import job_id

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("english", "unlimited")]
NewSpend = Callable[..., Spend]
Outcome = spend.Outcome
FAST = Decimal(60)


def read_used(scope: str = "all", period: str = "day") -> Decimal:
    """The used credits in the current window."""
    states = budget_usage.states_for([scope], clock.database_now())
    return next(state.used for state in states if state.period == period)


def list_used_amounts() -> set[Decimal]:
    return set(BudgetWindow.objects.values_list("used", flat=True))


def test_a_promise_is_counted_in_nine_windows_whether_they_are_limited_or_not(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, alice: User
) -> None:
    job = new_spend()
    spend.promise(spend=job, account=account)
    rows = BudgetWindow.objects.order_by("scope", "period").values_list("scope", "period", "used")
    scopes = ["all", "model:veo3_fast", f"user:{alice.pk}"]
    assert list(rows) == [(scope, period, FAST) for scope in scopes for period in ("day", "hour", "month")]
    job.refresh_from_db()
    assert sorted(job.counted_in) == sorted(BudgetWindow.objects.values_list("pk", flat=True))
    assert job.counted == FAST
    spend.promise(spend=new_spend(), account=account)
    assert list_used_amounts() == {2 * FAST}


def test_exactly_the_limit_can_be_spent(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    set_test_limit("120.0001")
    for _ in range(2):
        spend.promise(spend=new_spend(), account=account)
    state = expect_refusal(new_spend(), account)
    assert (state.scope, state.period, state.used, state.room) == ("all", "day", 120, Decimal("0.0001"))
    set_test_limit("180")
    spend.promise(spend=new_spend(), account=account)
    assert read_used() == 180


def test_small_fractions_add_up_exactly(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    set_test_limit("0.3")
    for _ in range(3):
        job = new_spend()
        Spend.objects.filter(pk=job.pk).update(estimated=Decimal("0.1"))
        job.refresh_from_db()
        spend.promise(spend=job, account=account)
    assert read_used() == Decimal("0.3")
    assert expect_refusal(new_spend(), account).is_spent


@pytest.mark.parametrize(
    ("subject", "period", "owner"),
    [
        ("all", "hour", {}),
        ("all", "day", {}),
        ("all", "month", {}),
        ("each_user", "day", {}),
        ("each_user", "hour", {}),
        ("user", "month", {"user": True}),
        ("model", "hour", {"model": "veo3_fast"}),
    ],
)
def test_each_kind_of_limit_refuses_a_job_until_its_window_ends(
    manual_clock: ManualClock,
    account: ProviderAccount,
    new_spend: NewSpend,
    alice: User,
    subject: str,
    period: str,
    owner: dict[str, object],
) -> None:
    set_test_limit("60", subject=subject, period=period, **({"user": alice} if "user" in owner else owner))
    first = new_spend()
    spend.promise(spend=first, account=account)
    state = expect_refusal(new_spend(), account)
    assert (state.period, state.subject) == (period, "user" if subject == "each_user" else subject)
    manual_clock.at = state.window.ends_at
    spend.promise(spend=Spend.objects.get(job_id=job_id("job:2")), account=account)
    assert read_used(state.scope, period) == 60


def test_limits_of_other_users_and_models_do_not_apply(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, bob: User
) -> None:
    set_test_limit("60", subject="each_user")
    set_test_limit("0", subject="model", model="veo3")
    spend.promise(spend=new_spend(), account=account)
    spend.promise(spend=new_spend(user=bob), account=account)
    assert (read_used(), read_used(f"user:{bob.pk}")) == (120, 60)


def test_of_several_windows_without_room_the_one_that_ends_last_is_named(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    for period in Period:
        set_test_limit("59", period=period)
    assert expect_refusal(new_spend(), account).period == "month"


def test_f82_a_budget_covers_one_day_of_the_site_and_nothing_is_counted_twice(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, settings: Settings
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    berlin = ZoneInfo("Europe/Berlin")
    set_test_limit("60")
    # The day of 25 hours has one budget, and midnight in UTC changes nothing.
    manual_clock.at = datetime(2026, 10, 25, 0, 30, tzinfo=berlin).astimezone(UTC)
    spend.promise(spend=new_spend(), account=account)
    job = new_spend()
    for elapsed in (timedelta(hours=3), timedelta(hours=24, minutes=29)):
        manual_clock.at = datetime(2026, 10, 24, 22, 30, tzinfo=UTC) + elapsed
        assert expect_refusal(job, account).window.length_s == 25 * 3600
    manual_clock.at += timedelta(minutes=1)
    spend.promise(spend=job, account=account)
    days = BudgetWindow.objects.filter(scope="all", period="day").order_by("starts_at")
    assert [(row.used, row.ends_at - row.starts_at) for row in days] == [
        (60, timedelta(hours=25)),
        (60, timedelta(hours=24)),
    ]
    assert BudgetWindow.objects.get(scope="all", period="month").used == 120


# Released and corrected


def test_an_unsent_job_is_released_and_can_be_counted_again(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    set_test_limit("60")
    job = new_spend()
    spend.promise(spend=job, account=account)
    manual_clock.sleep(24 * 3600)
    spend.record_response(job_id=job.job_id, outcome=Outcome.NOT_SENT, code="unavailable")
    job.refresh_from_db()
    assert (list_used_amounts(), job.state, job.counted, job.counted_in) == ({Decimal(0)}, "estimated", 0, [])
    spend.record_response(job_id=job.job_id, outcome=Outcome.NOT_SENT)
    assert list_used_amounts() == {Decimal(0)}
    spend.promise(spend=job, account=account)
    assert read_used() == 60


@pytest.mark.parametrize(("actual", "counted"), [("0", "0"), ("37.5", "37.5"), ("60", "60"), ("75.25", "75.25")])
def test_the_difference_to_the_estimate_goes_into_the_windows_of_the_promise(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, actual: str, counted: str
) -> None:
    set_test_limit("60")
    job = new_spend()
    spend.promise(spend=job, account=account)
    manual_clock.sleep(3600 * 24 * 31)
    assert spend.settle(job_id=job.job_id, actual=Decimal(actual), basis=Spend.Basis.REPORTED)
    assert list_used_amounts() == {Decimal(counted)}
    assert read_used() == 0, "the current day was not changed"
    job.refresh_from_db()
    assert job.counted == Decimal(actual)


def test_an_actual_cost_above_the_limit_is_counted_and_blocks_further_jobs(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    set_test_limit("120")
    job = new_spend()
    spend.promise(spend=job, account=account)
    spend.settle(job_id=job.job_id, actual=Decimal(150), basis=Spend.Basis.REPORTED)
    state = expect_refusal(new_spend(), account)
    assert (state.used, state.room, state.is_spent) == (150, 0, True)


def test_a_wrong_estimate_is_corrected_in_the_windows(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    job = new_spend()
    spend.promise(spend=job, account=account)
    spend.settle(job_id=job.job_id, actual=FAST, basis=Spend.Basis.POSSIBLE)
    assert spend.correct(job_id=job.job_id, actual=Decimal("12.5"), basis=Spend.Basis.REPORTED)
    assert list_used_amounts() == {Decimal("12.5")}
    assert not spend.correct(job_id=job.job_id, actual=Decimal(1), basis=Spend.Basis.REPORTED)
    assert list_used_amounts() == {Decimal("12.5")}


def test_settling_an_unpromised_job_changes_no_window(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    spend.promise(spend=new_spend(), account=account)
    job = new_spend()
    spend.settle(job_id=job.job_id, actual=Decimal(0), basis=Spend.Basis.NOT_SPENT)
    assert list_used_amounts() == {FAST}


def test_a_window_never_goes_below_zero(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    job = new_spend()
    spend.promise(spend=job, account=account)
    BudgetWindow.objects.filter(period="hour").update(used=Decimal(10))
    spend.record_response(job_id=job.job_id, outcome=Outcome.NOT_SENT)
    assert list_used_amounts() == {Decimal(0)}


def test_old_windows_are_deleted_and_recent_ones_kept(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    spend.promise(spend=new_spend(), account=account)
    assert budget_usage.delete_old_windows(manual_clock.at + timedelta(days=30)) == 0
    assert budget_usage.delete_old_windows(manual_clock.at + timedelta(days=32)) == 3
    assert budget_usage.delete_old_windows(manual_clock.at + timedelta(days=402)) == 3
    assert set(BudgetWindow.objects.values_list("period", flat=True)) == {"month"}


# Which limit applies


def test_a_limit_set_in_the_admin_overrides_the_environment(alice: User, settings: Settings) -> None:
    settings.DAILY_COST_LIMIT, settings.USER_DAILY_COST_LIMIT = Decimal(100), Decimal(20)
    scope = f"user:{alice.pk}"

    def read_state() -> tuple[Decimal | None, str, Decimal | None, str]:
        limits = limits_for(["all", scope])
        all_videos, user = limits["all", "day"], limits[scope, "day"]
        return all_videos.amount, all_videos.source, user.amount, user.key

    assert read_state() == (100, "environment", 20, "each_user:day")
    set_test_limit("5", subject="each_user")
    set_test_limit("7", subject="user", user=alice)
    set_test_limit("0")
    assert read_state() == (0, "admin", 7, f"user:{alice.pk}:day")
    set_test_limit(None)
    set_test_limit(None, subject="user", user=alice)
    assert read_state() == (None, "admin", None, f"user:{alice.pk}:day")
    assert limits_for(["all"])["all", "hour"].amount is None
    assert Budget.objects.count() == 3, "a limit set again is the same row"


def test_zero_in_the_admin_blocks_all_and_zero_in_the_environment_means_no_limit(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, settings: Settings
) -> None:
    settings.DAILY_COST_LIMIT = Decimal(0)
    spend.promise(spend=new_spend(), account=account)
    set_test_limit("0")
    assert expect_refusal(new_spend(), account).limit == 0


def test_keys_identify_their_limit() -> None:
    assert limit_key(subject=Subject.ALL, period="day") == "all:day"
    assert limit_key(subject=Subject.EACH_USER, period="day") == "each_user:day"
    assert limit_key(subject=Subject.USER, period="day", user_id=5) == "user:5:day"
    assert limit_key(subject=Subject.MODEL, period="hour", model="veo3_fast") == "model:veo3_fast:hour"


def test_states_cover_all_videos_and_every_limited_scope(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, alice: User, settings: Settings
) -> None:
    settings.DAILY_COST_LIMIT = Decimal(100)
    set_test_limit("50", subject="model", model="veo3", period="hour")
    set_test_limit("70", subject="user", user=alice)
    spend.promise(spend=new_spend(), account=account)
    states = [
        (state.scope, str(state.period), state.used, state.limit, state.source, state.budget_key)
        for state in budget_usage.list_states(manual_clock.at)
    ]
    user_scope = f"user:{alice.pk}"
    assert states == [
        ("all", "hour", 60, None, "", ""),
        ("all", "day", 60, 100, "environment", "all:day"),
        ("all", "month", 60, None, "", ""),
        ("model:veo3", "hour", 0, 50, "admin", "model:veo3:hour"),
        (user_scope, "day", 60, 70, "admin", f"{user_scope}:day"),
    ]
    hour, day, *_rest = budget_usage.list_states(manual_clock.at)
    assert (hour.room, hour.is_soft, hour.is_spent, hour.has_room_for(Decimal(10**6))) == (None, False, False, True)
    assert (day.room, day.is_soft, day.is_spent) == (40, False, False)
    assert budget_usage.list_states(manual_clock.at)[-1].is_soft

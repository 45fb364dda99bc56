"""Budgets: counted when money leaves, in every window; given back, corrected, changed at once; asked before an order."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone, translation
from pytest_django.fixtures import Settings

from accounts.doors import clock
from accounts.models import User
from billing import alerts, budget_alerts, budget_guard, budgets, guard, pricing, spend, wait_words
from billing.budgets import BudgetSpent, State
from billing.limits import Subject, key_of, limits_of, set_limit
from billing.models import Alert, Budget, BudgetWindow, Period, ProviderAccount, Spend
from billing.pricing import Quote
from tests.billing.conftest import SetClock

pytestmark = pytest.mark.django_db
NewSpend = Callable[..., Spend]
Outcome = spend.Outcome
FAST = Decimal(60)


@pytest.fixture(autouse=True)
def _english() -> object:
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def _nothing_is_limited(settings: Settings) -> None:
    settings.TIME_ZONE = "UTC"
    settings.HOURLY_COST_LIMIT = settings.DAILY_COST_LIMIT = settings.MONTHLY_COST_LIMIT = Decimal(0)
    settings.USER_DAILY_COST_LIMIT = Decimal(0)


def limit(amount: str | None, *, period: str = "day", subject: str = "all", **whose: object) -> Budget:
    wanted = None if amount is None else Decimal(amount)
    return set_limit(subject=subject, period=period, limit=wanted, actor=None, **whose)  # type: ignore[arg-type]


def used(scope: str = "all", period: str = "day") -> Decimal:
    """What is used in this window now."""
    states = budgets.states_of([scope], clock.database_now())
    return next(state.used for state in states if state.period == period)


def every() -> set[Decimal]:
    return set(BudgetWindow.objects.values_list("used", flat=True))


def refused(job: Spend, account: ProviderAccount) -> State:
    """The window that has no room; nothing else may have changed."""
    before = sorted(BudgetWindow.objects.values_list("scope", "period", "used"))
    with pytest.raises(BudgetSpent) as why:
        spend.promise(spend=job, account=account)
    after = [row for row in sorted(BudgetWindow.objects.values_list("scope", "period", "used")) if row[2]]
    assert after == [row for row in before if row[2]], "all or none"
    job.refresh_from_db()
    assert (job.state, job.counted, job.counted_in) == ("estimated", 0, [])
    return why.value.state


# Counting


def test_a_promise_is_counted_in_nine_windows_whether_they_are_limited_or_not(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, alice: User
) -> None:
    job = new_spend()
    spend.promise(spend=job, account=account)
    found = BudgetWindow.objects.order_by("scope", "period").values_list("scope", "period", "used")
    scopes = ["all", "model:veo3_fast", f"user:{alice.pk}"]
    assert list(found) == [(scope, period, FAST) for scope in scopes for period in ("day", "hour", "month")]
    job.refresh_from_db()
    assert sorted(job.counted_in) == sorted(BudgetWindow.objects.values_list("pk", flat=True))
    assert job.counted == FAST
    spend.promise(spend=new_spend(), account=account)
    assert every() == {2 * FAST}


def test_the_last_credit_may_be_spent_and_not_one_more(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    limit("120.0001")
    for _ in range(2):
        spend.promise(spend=new_spend(), account=account)
    state = refused(new_spend(), account)
    assert (state.scope, state.period, state.used, state.room) == ("all", "day", 120, Decimal("0.0001"))
    limit("180")
    spend.promise(spend=new_spend(), account=account)
    assert used() == 180


def test_small_fractions_add_up_exactly(still: SetClock, account: ProviderAccount, new_spend: NewSpend) -> None:
    limit("0.3")
    for _ in range(3):
        job = new_spend()
        Spend.objects.filter(pk=job.pk).update(estimated=Decimal("0.1"))
        job.refresh_from_db()
        spend.promise(spend=job, account=account)
    assert used() == Decimal("0.3")
    assert refused(new_spend(), account).is_spent


@pytest.mark.parametrize(
    ("subject", "period", "whose"),
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
def test_each_kind_of_limit_stops_what_does_not_fit(
    still: SetClock,
    account: ProviderAccount,
    new_spend: NewSpend,
    alice: User,
    subject: str,
    period: str,
    whose: dict[str, object],
) -> None:
    limit("60", subject=subject, period=period, **({"user": alice} if "user" in whose else whose))
    first = new_spend()
    spend.promise(spend=first, account=account)
    state = refused(new_spend(), account)
    assert (state.period, state.subject) == (period, "user" if subject == "each_user" else subject)
    still.at = state.window.ends_at
    spend.promise(spend=Spend.objects.get(reference="job:2"), account=account)
    assert used(state.scope, period) == 60


def test_another_user_and_another_model_have_their_own(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, bob: User
) -> None:
    limit("60", subject="each_user")
    limit("0", subject="model", model="veo3")
    spend.promise(spend=new_spend(), account=account)
    spend.promise(spend=new_spend(user=bob), account=account)
    assert (used(), used(f"user:{bob.pk}")) == (120, 60)


def test_of_several_windows_without_room_the_one_that_ends_last_is_named(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    for period in Period:
        limit("59", period=period)
    assert refused(new_spend(), account).period == "month"


def test_f82_a_budget_holds_for_one_day_of_the_site_and_nothing_is_counted_twice(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, settings: Settings
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    berlin = ZoneInfo("Europe/Berlin")
    limit("60")
    # The long day: 25 hours, one budget. Midnight in UTC changes nothing.
    still.at = datetime(2026, 10, 25, 0, 30, tzinfo=berlin).astimezone(UTC)
    spend.promise(spend=new_spend(), account=account)
    job = new_spend()
    for passed in (timedelta(hours=3), timedelta(hours=24, minutes=29)):
        still.at = datetime(2026, 10, 24, 22, 30, tzinfo=UTC) + passed
        assert refused(job, account).window.length_s == 25 * 3600
    still.at += timedelta(minutes=1)
    spend.promise(spend=job, account=account)
    days = BudgetWindow.objects.filter(scope="all", period="day").order_by("starts_at")
    assert [(row.used, row.ends_at - row.starts_at) for row in days] == [
        (60, timedelta(hours=25)),
        (60, timedelta(hours=24)),
    ]
    assert BudgetWindow.objects.get(scope="all", period="month").used == 120


# Given back and corrected


def test_what_was_not_sent_is_given_back_and_counted_anew(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    limit("60")
    job = new_spend()
    spend.promise(spend=job, account=account)
    still.sleep(24 * 3600)
    spend.answered(reference=job.reference, outcome=Outcome.NOT_SENT, code="unavailable")
    job.refresh_from_db()
    assert (every(), job.state, job.counted, job.counted_in) == ({Decimal(0)}, "estimated", 0, [])
    spend.answered(reference=job.reference, outcome=Outcome.NOT_SENT)
    assert every() == {Decimal(0)}
    spend.promise(spend=job, account=account)
    assert used() == 60


@pytest.mark.parametrize(("actual", "then"), [("0", "0"), ("37.5", "37.5"), ("60", "60"), ("75.25", "75.25")])
def test_the_difference_to_the_estimate_goes_into_the_windows_of_the_promise(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, actual: str, then: str
) -> None:
    limit("60")
    job = new_spend()
    spend.promise(spend=job, account=account)
    still.sleep(3600 * 24 * 31)
    assert spend.settle(reference=job.reference, actual=Decimal(actual), basis=Spend.Basis.REPORTED)
    assert every() == {Decimal(then)}
    assert used() == 0, "another day was not touched"
    job.refresh_from_db()
    assert job.counted == Decimal(actual)


def test_a_dearer_end_is_counted_past_the_limit_and_lets_nothing_more_through(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    limit("120")
    job = new_spend()
    spend.promise(spend=job, account=account)
    spend.settle(reference=job.reference, actual=Decimal(150), basis=Spend.Basis.REPORTED)
    state = refused(new_spend(), account)
    assert (state.used, state.room, state.is_spent) == (150, 0, True)


def test_a_guess_that_turns_out_wrong_is_corrected_in_the_windows(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    job = new_spend()
    spend.promise(spend=job, account=account)
    spend.settle(reference=job.reference, actual=FAST, basis=Spend.Basis.POSSIBLE)
    assert spend.correct(reference=job.reference, actual=Decimal("12.5"), basis=Spend.Basis.REPORTED)
    assert every() == {Decimal("12.5")}
    assert not spend.correct(reference=job.reference, actual=Decimal(1), basis=Spend.Basis.REPORTED)
    assert every() == {Decimal("12.5")}


def test_what_was_never_promised_changes_no_window(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    spend.promise(spend=new_spend(), account=account)
    job = new_spend()
    spend.settle(reference=job.reference, actual=Decimal(0), basis=Spend.Basis.NOT_SPENT)
    assert every() == {FAST}


def test_a_window_never_goes_below_zero(still: SetClock, account: ProviderAccount, new_spend: NewSpend) -> None:
    job = new_spend()
    spend.promise(spend=job, account=account)
    BudgetWindow.objects.filter(period="hour").update(used=Decimal(10))
    spend.answered(reference=job.reference, outcome=Outcome.NOT_SENT)
    assert every() == {Decimal(0)}


def test_old_windows_are_forgotten_and_young_ones_kept(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    spend.promise(spend=new_spend(), account=account)
    assert budgets.forget_old(still.at + timedelta(days=30)) == 0
    assert budgets.forget_old(still.at + timedelta(days=32)) == 3
    assert budgets.forget_old(still.at + timedelta(days=402)) == 3
    assert set(BudgetWindow.objects.values_list("period", flat=True)) == {"month"}


# Which limit holds


def test_the_environment_is_the_default_and_the_admins_word_goes_before(alice: User, settings: Settings) -> None:
    settings.DAILY_COST_LIMIT, settings.USER_DAILY_COST_LIMIT = Decimal(100), Decimal(20)
    me = f"user:{alice.pk}"

    def said() -> tuple[Decimal | None, str, Decimal | None, str]:
        found = limits_of(["all", me])
        everybody, mine = found["all", "day"], found[me, "day"]
        return everybody.amount, everybody.source, mine.amount, mine.key

    assert said() == (100, "environment", 20, "each_user:day")
    limit("5", subject="each_user")
    limit("7", subject="user", user=alice)
    limit("0")
    assert said() == (0, "admin", 7, f"user:{alice.pk}:day")
    limit(None)
    limit(None, subject="user", user=alice)
    assert said() == (None, "admin", None, f"user:{alice.pk}:day")
    assert limits_of(["all"])["all", "hour"].amount is None
    assert Budget.objects.count() == 3, "a limit set again is the same row"


def test_zero_of_the_admins_lets_nothing_through_and_zero_of_the_environment_everything(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, settings: Settings
) -> None:
    settings.DAILY_COST_LIMIT = Decimal(0)
    spend.promise(spend=new_spend(), account=account)
    limit("0")
    assert refused(new_spend(), account).limit == 0


def test_keys_name_their_limit() -> None:
    assert key_of(subject=Subject.ALL, period="day") == "all:day"
    assert key_of(subject=Subject.EACH_USER, period="day") == "each_user:day"
    assert key_of(subject=Subject.USER, period="day", user_id=5) == "user:5:day"
    assert key_of(subject=Subject.MODEL, period="hour", model="veo3_fast") == "model:veo3_fast:hour"


def test_states_name_what_is_limited_and_everything_together(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, alice: User, settings: Settings
) -> None:
    settings.DAILY_COST_LIMIT = Decimal(100)
    limit("50", subject="model", model="veo3", period="hour")
    limit("70", subject="user", user=alice)
    spend.promise(spend=new_spend(), account=account)
    found = [
        (state.scope, str(state.period), state.used, state.limit, state.source, state.budget_key)
        for state in budgets.states(still.at)
    ]
    me = f"user:{alice.pk}"
    assert found == [
        ("all", "hour", 60, None, "", ""),
        ("all", "day", 60, 100, "environment", "all:day"),
        ("all", "month", 60, None, "", ""),
        ("model:veo3", "hour", 0, 50, "admin", "model:veo3:hour"),
        (me, "day", 60, 70, "admin", f"{me}:day"),
    ]
    hour, day, *_rest = budgets.states(still.at)
    assert (hour.room, hour.is_soft, hour.is_spent, hour.has_room_for(Decimal(10**6))) == (None, False, False, True)
    assert (day.room, day.is_soft, day.is_spent) == (40, False, False)
    assert budgets.states(still.at)[-1].is_soft


# Alerts


def told(kind: str) -> list[tuple[str, int, bool]]:
    rows = Alert.objects.filter(kind=kind).order_by("id")
    return [(alert.cause, alert.count, alert.resolved_at is None) for alert in rows]


def test_the_soft_share_warns_once_for_each_window_and_ends_with_it(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    set_limit(subject="all", period="day", limit=Decimal(120), soft_share=Decimal("0.5"), actor=None)
    budget_alerts.watch(still.at)
    assert told("budget_soft") == []
    spend.promise(spend=new_spend(), account=account)
    for _ in range(3):
        budget_alerts.watch(still.at)
    assert told("budget_soft") == [("all:day 120", 1, True)]
    assert "60 of the day's 120 provider credits are used." in Alert.objects.get().detail
    still.sleep(24 * 3600)
    budget_alerts.watch(still.at)
    assert told("budget_soft") == [("all:day 120", 1, False)]
    spend.promise(spend=new_spend(), account=account)
    budget_alerts.watch(still.at)
    assert told("budget_soft") == [("all:day 120", 1, False), ("all:day 120", 1, True)]


def test_a_refusal_at_the_limit_is_told_once_and_over_when_the_limit_is_raised(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    limit("60", subject="model", model="veo3_fast")
    spend.promise(spend=new_spend(), account=account)
    state = refused(new_spend(), account)
    for _ in range(3):
        budget_alerts.tell_spent(state)
        budget_alerts.watch(still.at)
    assert told("budget_hard") == [("model:veo3_fast:day 60", 1, True)]
    assert Alert.objects.get(kind="budget_hard").severity == alerts.Severity.CRITICAL
    limit("600", subject="model", model="veo3_fast")
    budget_alerts.watch(still.at)
    assert told("budget_hard") == [("model:veo3_fast:day 60", 1, False)]
    assert told("budget_soft") == []


def test_a_spent_budget_is_almost_spent_no_longer_until_its_limit_is_raised(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    limit("70")
    spend.promise(spend=new_spend(), account=account)
    budget_alerts.watch(still.at)
    assert told("budget_soft") == [("all:day 70", 1, True)]
    state = refused(new_spend(), account)
    budget_alerts.tell_spent(state)
    budget_alerts.watch(still.at)
    assert told("budget_soft") == [("all:day 70", 1, False)]
    assert told("budget_hard") == [("all:day 70", 1, True)]
    limit("75")
    budget_alerts.watch(still.at)
    assert told("budget_soft") == [("all:day 70", 1, False), ("all:day 75", 1, True)]
    assert told("budget_hard") == [("all:day 70", 1, False)]


def test_a_spent_budget_is_spent_no_longer_once_there_is_room_for_the_cheapest_video(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    limit("100", period="month")
    job = new_spend()
    spend.promise(spend=job, account=account)
    spend.promise(spend=(lite := _lite(job.user)), account=account)
    state = refused(new_spend(), account)
    budget_alerts.tell_spent(state)
    budget_alerts.watch(still.at)
    assert told("budget_hard") == [("all:month 100", 1, True)]
    spend.answered(reference=lite.reference, outcome=spend.Outcome.REFUSED)
    spend.settle(reference=lite.reference, actual=Decimal(0), basis=Spend.Basis.NOT_SPENT)
    budget_alerts.watch(still.at)
    assert told("budget_hard") == [("all:month 100", 1, True)], "the one that waits has no room yet"
    Spend.objects.filter(state="estimated").delete()
    for _ in range(2):
        budget_alerts.watch(still.at)
    assert told("budget_hard") == [("all:month 100", 1, False)]
    assert told("budget_soft") == []
    budget_alerts.tell_spent(refused(new_spend(), account))
    assert told("budget_hard") == [("all:month 100", 2, True)], "the same entry, open again"


def _lite(user: User) -> Spend:
    quote = pricing.quote(model="veo3_lite", resolution="720p")
    return spend.estimate(reference="job:lite", user=user, quote=quote)


def test_who_is_too_dear_for_what_is_left_spends_no_budget(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    limit("100")
    spend.promise(spend=new_spend(), account=account)
    _lite(User.objects.get(email="alice@example.com"))
    budget_alerts.tell_spent(refused(new_spend(), account))
    assert told("budget_hard") == []


def test_the_soft_share_may_be_left_and_reached_again(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    set_limit(subject="all", period="day", limit=Decimal(120), soft_share=Decimal("0.5"), actor=None)
    job = new_spend()
    spend.promise(spend=job, account=account)
    budget_alerts.watch(still.at)
    spend.answered(reference=job.reference, outcome=spend.Outcome.REFUSED)
    spend.settle(reference=job.reference, actual=Decimal(0), basis=Spend.Basis.NOT_SPENT)
    budget_alerts.watch(still.at)
    assert told("budget_soft") == [("all:day 120", 1, False)]
    spend.promise(spend=new_spend(), account=account)
    for _ in range(2):
        budget_alerts.watch(still.at)
    assert told("budget_soft") == [("all:day 120", 2, True)]


def test_a_limit_lowered_under_what_is_used_warns_by_itself(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    spend.promise(spend=new_spend(), account=account)
    limit("70", period="month")
    budget_alerts.watch(still.at)
    assert told("budget_soft") == [("all:month 70", 1, True)]


def test_what_each_user_may_spend_is_told_to_users_and_not_to_operators(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, alice: User
) -> None:
    limit("60", subject="each_user")
    spend.promise(spend=new_spend(), account=account)
    budget_alerts.tell_spent(refused(new_spend(), account))
    budget_alerts.watch(still.at)
    assert told("budget_hard") == told("budget_soft") == []
    limit("60", subject="user", user=alice)
    budget_alerts.tell_spent(refused(Spend.objects.get(reference="job:2"), account))
    assert told("budget_hard") == [(f"user:{alice.pk}:day 60", 1, True)]


# Before an order


def fast() -> Quote:
    return pricing.quote(model="veo3_fast", resolution="720p")


def refusal(user: User, still: SetClock) -> tuple[str, str] | None:
    found = budget_guard.refusal_of(user=user, quote=fast(), at=still.at)
    return None if found is None else (found.code, str(found))


def test_without_limits_every_order_is_let_through(still: SetClock, alice: User) -> None:
    assert refusal(alice, still) is None
    assert budgets.left_today(alice) is None


def test_a_users_order_counts_what_is_used_and_what_waits(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, alice: User, bob: User
) -> None:
    limit("200", subject="each_user")
    spend.promise(spend=new_spend(), account=account)
    new_spend()
    assert refusal(alice, still) is None
    new_spend()
    left = budgets.left_today(alice)
    assert left is not None
    assert (left.state.limit, left.state.used, left.waiting, left.left) == (200, 60, 120, 20)
    with timezone.override("America/New_York"):
        assert refusal(alice, still) == (
            "user_budget_spent",
            "You have ordered as much as one person may until 20:00. Nothing was charged; please come back then.",
        )
    assert refusal(bob, still) is None


def test_a_user_reads_what_is_left_when_something_cheaper_fits(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, alice: User
) -> None:
    limit("100", subject="user", user=alice)
    spend.promise(spend=new_spend(), account=account)
    assert refusal(alice, still) == (
        "user_budget_spent",
        "This video costs 60 credits, and until 2 Sep, 00:00 you may order for about 40 more. "
        "Choose a cheaper model or resolution, or come back then. Nothing was charged.",
    )


def test_what_is_left_never_goes_below_nothing(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, alice: User
) -> None:
    new_spend()
    limit("30", subject="each_user", period="hour")
    limit("30", subject="each_user")
    left = budgets.left_today(alice)
    assert left is not None
    assert (left.left, left.state.period) == (0, "day")


@pytest.mark.parametrize(
    ("at", "waiting", "until"),
    [("12:00", 0, None), ("12:00", 1, "14:00"), ("12:59", 1, "14:00"), ("12:00", 9, "22:00"), ("12:59", 9, "22:00")],
)
def test_an_order_may_wait_for_the_next_hour_only_as_long_as_we_promise(
    still: SetClock,
    account: ProviderAccount,
    new_spend: NewSpend,
    alice: User,
    at: str,
    waiting: int,
    until: str | None,
) -> None:
    """This hour's budget is spent; each one that waits takes a later hour's, and an hour is what we promise."""
    limit("60", period="hour")
    still.at = datetime.fromisoformat(f"2026-09-01T{at}").replace(tzinfo=UTC)
    spend.promise(spend=new_spend(), account=account)
    for _ in range(waiting):
        new_spend()
    found = budget_guard.refusal_of(user=alice, quote=fast(), at=still.at)
    assert (found and f"{found.until:%H:%M}") == until


def test_a_days_budget_that_is_spent_refuses_until_midnight_is_near(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, alice: User
) -> None:
    limit("60")
    spend.promise(spend=new_spend(), account=account)
    assert refusal(alice, still) == (
        "budget_spent",
        "The budget for new videos is spent until 2 Sep, 00:00. Nothing was charged; please come back then.",
    )
    still.at = datetime(2026, 9, 1, 23, 0, tzinfo=UTC)
    assert refusal(alice, still) is None


def test_a_days_rest_that_is_too_little_names_what_still_fits(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, alice: User
) -> None:
    limit("115")
    spend.promise(spend=new_spend(), account=account)
    code, sentence = refusal(alice, still) or ("", "")
    assert code == "budget_spent"
    assert "is too small for this one. Choose a cheaper model or resolution" in sentence


def test_a_models_budget_sends_people_to_other_models(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, alice: User
) -> None:
    limit("60", subject="model", model="veo3_fast", period="month")
    spend.promise(spend=new_spend(), account=account)
    assert refusal(alice, still) == (
        "budget_spent",
        "The budget for this model is spent until 1 Oct, 00:00. "
        "Nothing was charged; choose another model, or come back then.",
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
            "The operator allows no new videos just now: the limit is below what any of them costs. "
            "Nothing was charged.",
        ),
    ],
)
def test_what_no_window_would_ever_hold_is_said_to_be_so(
    still: SetClock, alice: User, amount: str, sentence: str
) -> None:
    limit(amount, period="hour")
    limit("60", subject="each_user")
    assert refusal(alice, still) == ("above_limit", sentence)
    found = budget_guard.refusal_of(user=alice, quote=fast(), at=still.at)
    assert found is not None
    assert found.until is None
    budget_guard.tell(found)
    assert told("budget_hard") == [], "an operator's own decision"


def test_orders_turned_away_are_told_to_operators(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, alice: User
) -> None:
    limit("60")
    spend.promise(spend=new_spend(), account=account)
    found = budget_guard.refusal_of(user=alice, quote=fast(), at=still.at)
    assert found is not None
    budget_guard.tell(found)
    assert told("budget_hard") == [("all:day 60", 1, True)]


# What waits


def test_who_waits_is_named_by_what_is_left(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, alice: User, bob: User
) -> None:
    limit("100", subject="each_user")
    limit("90")
    limit("70", subject="model", model="veo3_fast")
    spend.promise(spend=new_spend(), account=account)
    mine, _his = new_spend(), new_spend(user=bob)
    states = {
        state.scope: state
        for state in budgets.states_of(["all", f"user:{alice.pk}", "model:veo3_fast"], still.at)
        if state.period == "day"
    }
    assert [job.pk for job in budgets.too_big_for(states[f"user:{alice.pk}"], above_limit=False)] == [mine.pk]
    assert budgets.too_big_for(states["all"], above_limit=False).count() == 2
    assert budgets.too_big_for(states["model:veo3_fast"], above_limit=False).count() == 2
    assert not budgets.too_big_for(states["all"], above_limit=True).exists()
    assert budgets.holds_everybody(states["all"])
    assert not budgets.holds_everybody(states["model:veo3_fast"])
    limit("150")
    assert not budgets.holds_everybody(next(one for one in budgets.states(still.at) if one.budget_key))


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
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, subject: str, period: str, code: str
) -> None:
    limit("60", subject=subject, period=period, model="veo3_fast" if subject == "model" else "")
    spend.promise(spend=new_spend(), account=account)
    job = new_spend()
    found = guard.check_dispatch(estimate=job, provider=account, running=0, running_of_user=0)
    assert found is not None
    assert found.spent is not None
    assert (found.code, found.until) == (code, still.at + guard.BUDGET_LOOK_EVERY)
    assert found.ends_at == found.spent.window.ends_at
    assert str(wait_words.TO_OWNERS[code])
    limit("59", subject=subject, period=period, model="veo3_fast" if subject == "model" else "")
    found = guard.check_dispatch(estimate=job, provider=account, running=0, running_of_user=0)
    assert found is not None
    assert (found.code, found.ends_at) == ("budget_limit", None)
    assert str(wait_words.TO_OWNERS["budget_limit"])


@pytest.mark.parametrize(("subject", "code"), [("all", "budget_hour"), ("model", "budget_model")])
def test_an_order_that_would_be_taken_and_wait_is_known_before(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend, alice: User, subject: str, code: str
) -> None:
    limit("110", subject=subject, period="hour", model="veo3_fast" if subject == "model" else "")
    assert budget_guard.verdict(user=alice, quote=fast(), at=still.at) == budget_guard.Verdict(None, None)
    new_spend()
    expected = budget_guard.Delay(code, still.at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1))
    found = budget_guard.verdict(user=alice, quote=fast(), at=still.at)
    assert found == budget_guard.Verdict(None, expected), "what waits already goes first"
    assert str(wait_words.TO_OWNERS[code])


def test_an_order_that_a_slow_budget_would_hold_for_a_while_is_known_before(still: SetClock, alice: User) -> None:
    # At noon 1,080 of 1,200 are free, five more each hour: the 1,084 that this one needs are at 12:48.
    limit("1200")
    midnight = still.at - timedelta(hours=12)
    BudgetWindow.objects.create(
        scope="all", period="day", starts_at=midnight, ends_at=midnight + timedelta(days=1), used=Decimal(1024)
    )
    delay = budget_guard.verdict(user=alice, quote=fast(), at=still.at).delay
    assert delay == budget_guard.Delay("budget_pace", still.at + timedelta(minutes=24))
    assert str(wait_words.TO_OWNERS["budget_pace"])


def test_an_order_that_a_slow_budget_would_let_go_soon_is_taken(still: SetClock, alice: User) -> None:
    # At noon 1,080 of 1,200 are free; 60 more are in six hours.
    limit("1200")
    quote = pricing.quote(model="veo3_fast", resolution="720p")
    assert budget_guard.refusal_of(user=alice, quote=quote, at=still.at) is None
    midnight = still.at - timedelta(hours=12)
    BudgetWindow.objects.create(
        scope="all", period="day", starts_at=midnight, ends_at=midnight + timedelta(days=1), used=Decimal(1075)
    )
    refusal = budget_guard.refusal_of(user=alice, quote=quote, at=still.at)
    assert isinstance(refusal, budget_guard.SlowedDown)
    assert "Nothing was charged" in str(refusal)
    budget_guard.tell(refusal)
    assert not Alert.objects.exists()


def test_a_job_that_a_slow_budget_holds_says_when_its_turn_comes(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    # At noon 1,080 of 1,200 are free; the 1,135 that this one needs are at half past five.
    limit("1200")
    midnight = still.at - timedelta(hours=12)
    row = BudgetWindow.objects.create(
        scope="all", period="day", starts_at=midnight, ends_at=midnight + timedelta(days=1), used=Decimal(1075)
    )
    assert str(row) == "all day 2026-09-01 00:00: 1075"
    job, turn = new_spend(), midnight + timedelta(hours=17, minutes=30)
    held = guard.check_dispatch(estimate=job, provider=account, running=0, running_of_user=0)
    assert held == guard.Wait(guard.SLOWED, still.at + guard.BUDGET_LOOK_EVERY, ends_at=turn)
    still.at = turn - timedelta(seconds=1)
    account.balance_at = still.at
    held = guard.check_dispatch(estimate=job, provider=account, running=0, running_of_user=0)
    assert held == guard.Wait(guard.SLOWED, turn, ends_at=turn)
    still.at = turn
    assert guard.check_dispatch(estimate=job, provider=account, running=0, running_of_user=0) is None

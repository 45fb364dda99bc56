"""The guard's two checks: refusals before an order is charged, and waits before a job is sent."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import translation
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.costs import spend
from billing.credits import ledger
from billing.guard import checks as guard_checks
from billing.guard import circuit_breaker, wait_reasons
from billing.models import PaidCall, ProviderAccount, Spend
from billing.pricing import prices
from billing.provider import accounts as provider_accounts
from tests.clocks import ManualClock
from tests.people import give_credits

pytestmark = pytest.mark.django_db
NewSpend = Callable[..., Spend]


@pytest.fixture(autouse=True)
def _english() -> object:
    with translation.override("en"):
        yield


def check_order(user: User, account: ProviderAccount, *, wait_s: float = 0) -> None:
    account.refresh_from_db()
    with transaction.atomic():
        guard_checks.check_order(
            user=user,
            credit_account=ledger.lock_account(user),
            quote=prices.get_quote(model="veo3_fast", resolution="720p"),
            provider_account=account,
            expected_wait_s=wait_s,
        )


def expect_refusal(user: User, account: ProviderAccount, *, wait_s: float = 0) -> tuple[str, str]:
    """Check that an order is refused; returns the refusal's code and sentence."""
    with pytest.raises(guard_checks.Refusal) as error:
        check_order(user, account, wait_s=wait_s)
    return error.value.code, str(error.value)


@pytest.fixture
def buyer(alice: User) -> User:
    """Alice, with the price of one video."""
    give_credits(alice, 60)
    return alice


def test_an_order_that_fits_is_accepted(buyer: User, account: ProviderAccount, settings: Settings) -> None:
    check_order(buyer, account, wait_s=settings.MAX_QUEUE_WAIT_MINUTES * 60)
    assert ledger.balance_of(buyer) == 60


@pytest.mark.parametrize("reason", ["We are migrating", "We are migrating.", "We are migrating. "])
def test_a_pause_refuses_with_its_reason(buyer: User, account: ProviderAccount, olga: User, reason: str) -> None:
    provider_accounts.pause_account(account_id=account.pk, actor=olga, reason=reason)
    assert expect_refusal(buyer, account) == (
        "paused",
        "New videos are paused (We are migrating). Nothing was charged; please try again later.",
    )


@pytest.mark.parametrize("parked_as", ["out_of_credits", "access_denied"])
def test_a_blocked_account_accepts_no_orders(buyer: User, account: ProviderAccount, parked_as: str) -> None:
    provider_accounts.block_account(account_id=account.pk, parked_as=ProviderAccount.Parked(parked_as), detail="402")
    code, sentence = expect_refusal(buyer, account)
    assert code == "provider_at_rest"
    assert "there is a problem with the account at the provider" in sentence
    assert "Nothing was charged" in sentence


def test_a_critical_balance_refuses_orders(buyer: User, account: ProviderAccount) -> None:
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(500))
    assert expect_refusal(buyer, account)[0] == "provider_at_rest"
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal("500.0001"))
    check_order(buyer, account)


def test_orders_are_accepted_before_a_balance_was_read(buyer: User) -> None:
    check_order(buyer, provider_accounts.get_current_account())


def test_an_order_above_the_balance_is_refused_with_price_and_balance(alice: User, account: ProviderAccount) -> None:
    give_credits(alice, 59)
    assert expect_refusal(alice, account) == (
        "not_enough_credits",
        "This video costs 60 credits and you have 59. "
        "Choose a cheaper model or resolution, or ask the operator for credits.",
    )
    assert ledger.balance_of(alice) == 59


def test_a_cheaper_video_is_suggested_only_if_the_balance_covers_it(alice: User, account: ProviderAccount) -> None:
    lowest_price = min(
        quote.user_credits for quote in prices.list_current_quotes() if quote.kind == prices.Kind.GENERATE
    )
    give_credits(alice, lowest_price - 1)
    assert expect_refusal(alice, account) == (
        "not_enough_credits",
        f"This video costs 60 credits and you have {lowest_price - 1}. Ask the operator for credits.",
    )
    give_credits(alice, 1)
    assert "Choose a cheaper model or resolution" in expect_refusal(alice, account)[1]


def test_a_budget_without_room_refuses_before_anything_is_charged(
    buyer: User, account: ProviderAccount, settings: Settings
) -> None:
    settings.USER_DAILY_COST_LIMIT = Decimal(59)
    assert expect_refusal(buyer, account)[0] == "above_limit"
    assert ledger.balance_of(buyer) == 60


def test_unfinished_videos_are_limited_and_settled_ones_do_not_count(
    buyer: User, bob: User, account: ProviderAccount, new_spend: NewSpend, settings: Settings
) -> None:
    settings.MAX_ACTIVE_PER_USER = 2
    new_spend(user=bob)
    first = new_spend()
    check_order(buyer, account)
    new_spend()
    assert expect_refusal(buyer, account) == (
        "too_many_active",
        "You already have 2 videos on the way, the most at a time. Wait for one, or cancel one.",
    )
    spend.settle(job_id=first.job_id, actual=Decimal(0), basis=Spend.Basis.NOT_SPENT)
    check_order(buyer, account)
    settings.MAX_ACTIVE_PER_USER = 1
    assert "1 video on the way" in expect_refusal(buyer, account)[1]


def test_an_expected_wait_above_the_maximum_is_refused_before_the_charge(
    buyer: User, account: ProviderAccount, settings: Settings
) -> None:
    settings.MAX_QUEUE_WAIT_MINUTES = 60
    assert expect_refusal(buyer, account, wait_s=3601) == (
        "queue_too_long",
        "Many videos are waiting: yours would start in about 61 minutes, "
        "and the maximum wait is 60. Nothing was charged; please try again later.",
    )
    assert ledger.balance_of(buyer) == 60


def test_every_refusal_has_a_text() -> None:
    with pytest.raises(NotImplementedError):
        str(guard_checks.Refusal())
    codes = {kind.code for kind in guard_checks.Refusal.__subclasses__() if kind.__module__ == guard_checks.__name__}
    assert codes == {"paused", "held", "provider_at_rest", "not_enough_credits", "too_many_active", "queue_too_long"}


# Before a job is sent


def check_dispatch(
    job: Spend, account: ProviderAccount, *, running: int = 0, running_of_user: int = 0
) -> guard_checks.Wait | None:
    account.refresh_from_db()
    wait = guard_checks.check_dispatch(estimate=job, account=account, running=running, running_of_user=running_of_user)
    if wait is not None:
        assert wait.code in wait_reasons.OWNER_TEXTS
    return wait


def test_a_job_that_fits_does_not_wait(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    assert check_dispatch(new_spend(), account) is None


def test_a_paused_job_is_checked_again_soon(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, olga: User
) -> None:
    provider_accounts.pause_account(account_id=account.pk, actor=olga, reason="moving")
    assert check_dispatch(new_spend(), account) == guard_checks.Wait("paused", manual_clock.at + timedelta(seconds=15))


@pytest.mark.parametrize("parked_as", ["out_of_credits", "access_denied"])
def test_a_job_waits_while_the_account_is_blocked(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, parked_as: str
) -> None:
    provider_accounts.block_account(account_id=account.pk, parked_as=ProviderAccount.Parked(parked_as), detail="402")
    assert check_dispatch(new_spend(), account) == guard_checks.Wait(parked_as, manual_clock.at + timedelta(seconds=15))


def test_no_job_is_sent_with_an_unknown_or_old_balance(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    job = new_spend()
    manual_clock.sleep(120)
    assert check_dispatch(job, account) is None
    manual_clock.sleep(1)
    assert check_dispatch(job, account) == guard_checks.Wait("balance_unknown", manual_clock.at + timedelta(seconds=2))
    ProviderAccount.objects.update(balance=None)
    assert check_dispatch(job, account) == guard_checks.Wait("balance_unknown", manual_clock.at + timedelta(seconds=2))


@pytest.mark.parametrize(
    ("balance", "is_sent"), [("500", False), ("500.01", True), ("560", True), ("60", False), ("0", False)]
)
def test_the_balance_must_stay_above_the_threshold(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, balance: str, is_sent: bool
) -> None:
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(balance))
    wait = check_dispatch(new_spend(), account)
    assert wait == (None if is_sent else guard_checks.Wait("balance", manual_clock.at + timedelta(seconds=15)))


def test_promised_credits_count_as_spent(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, settings: Settings
) -> None:
    settings.CRITICAL_BALANCE_THRESHOLD = Decimal(0)
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(100))
    job = new_spend()
    spend.promise(spend=new_spend(), account=account)
    wait = check_dispatch(job, account)
    assert wait is not None
    assert wait.code == "balance"
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(120))
    assert check_dispatch(job, account) is None


def test_slots_are_limited_per_user_and_in_total(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, settings: Settings
) -> None:
    settings.MAX_CONCURRENT_PER_USER, settings.MAX_CONCURRENT_VIDEOS = 3, 10
    job = new_spend()
    assert check_dispatch(job, account, running=9, running_of_user=2) is None
    assert check_dispatch(job, account, running=9, running_of_user=3) == guard_checks.Wait(
        "own_slot", manual_clock.at + timedelta(seconds=2)
    )
    assert check_dispatch(job, account, running=10, running_of_user=2) == guard_checks.Wait(
        "slot", manual_clock.at + timedelta(seconds=2)
    )


def test_a_job_waits_while_the_rate_limit_is_reached(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, settings: Settings
) -> None:
    settings.PROVIDER_RATE_LIMIT, settings.PROVIDER_RATE_WINDOW_S = 2, 10
    first, second, third = new_spend(), new_spend(), new_spend()
    spend.promise(spend=first, account=account)
    assert check_dispatch(third, account) is None
    spend.promise(spend=second, account=account)
    assert check_dispatch(third, account) == guard_checks.Wait("rate", manual_clock.at + timedelta(seconds=1))
    manual_clock.sleep(60)
    assert check_dispatch(third, account), "calls in flight may still reach the provider"
    for job in (first, second):
        spend.record_response(job_id=job.job_id, outcome=PaidCall.Outcome.ACCEPTED)
    manual_clock.sleep(9.99)
    assert check_dispatch(third, account)
    manual_clock.sleep(0.02)
    assert check_dispatch(third, account) is None


def test_an_open_breaker_blocks_jobs_until_its_cooldown_is_over_and_then_allows_a_probe(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, settings: Settings
) -> None:
    job = new_spend()
    circuit_breaker.record_failure(account.pk, detail="503", opens_immediately=True)
    account.refresh_from_db()
    assert account.breaker_until is not None
    assert check_dispatch(job, account) == guard_checks.Wait("breaker", account.breaker_until)
    manual_clock.at = account.breaker_until
    assert check_dispatch(job, account) == guard_checks.Wait("breaker", manual_clock.at + timedelta(seconds=2)), (
        "the balance must be read first"
    )
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    assert check_dispatch(job, account) is None
    circuit_breaker.start_probe(account)
    wait = check_dispatch(job, account)
    assert wait is not None
    assert (wait.code, wait.until) == ("breaker", manual_clock.at + timedelta(seconds=settings.SUBMIT_LEASE_S))


def test_a_job_waits_while_as_many_calls_are_in_flight_as_may_fail(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, settings: Settings
) -> None:
    job = new_spend()
    for _ in range(settings.BREAKER_FAILURES):
        spend.promise(spend=new_spend(), account=account)
    assert check_dispatch(job, account) == guard_checks.Wait("rate", manual_clock.at + timedelta(seconds=1))


def test_waits_with_equal_fields_are_equal() -> None:
    at = ManualClock().at
    assert guard_checks.Wait("slot", at) == replace(guard_checks.Wait("rate", at), code="slot")

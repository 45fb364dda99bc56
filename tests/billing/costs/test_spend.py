"""The cost of jobs: promised before sending, never sent twice, settled once, within the rate limit."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.costs import spend
from billing.models import PaidCall, ProviderAccount, Spend
from billing.pricing import prices
from tests.clocks import ManualClock
from tests.jobs import job_id

pytestmark = pytest.mark.django_db
Outcome = PaidCall.Outcome
Basis = Spend.Basis
NewSpend = Callable[..., Spend]


def reload(job: Spend) -> Spend:
    return Spend.objects.get(pk=job.pk)


def test_an_estimate_freezes_the_price(new_spend: NewSpend, alice: User) -> None:
    job = new_spend(job="job:7")
    assert (job.state, job.user, job.user_credits, job.estimated) == ("estimated", alice, 60, Decimal(60))
    assert job.usd_per_credit == Decimal("0.005")
    assert str(job) == f"{job.job_id}: 60.0000"
    assert spend.get_known_cost(job_id=job_id("job:7"), reported=None) == (Decimal(60), Basis.PRICE_LIST)
    assert spend.get_known_cost(job_id=job_id("job:7"), reported=Decimal("37.5")) == (Decimal("37.5"), Basis.REPORTED)


def test_the_paid_call_is_stored_before_it_is_sent(new_spend: NewSpend, account: ProviderAccount) -> None:
    job = new_spend()
    call = spend.promise(spend=job, account=account)
    assert (call.outcome, call.answered_at) == ("in_flight", None)
    assert str(call) == f"{job.job_id} in_flight"
    assert (reload(job).state, reload(job).account) == ("promised", account)


def test_f21_a_second_paid_call_for_a_job_cannot_be_stored(new_spend: NewSpend, account: ProviderAccount) -> None:
    job = new_spend()
    spend.promise(spend=job, account=account)
    with pytest.raises(spend.NotEstimated), transaction.atomic():
        spend.promise(spend=job, account=account)
    for outcome in (Outcome.IN_FLIGHT, Outcome.ACCEPTED, Outcome.UNCONFIRMED):
        PaidCall.objects.filter(spend=job).update(outcome=outcome)
        with pytest.raises(IntegrityError, match=r"paid_call_one_live|UNIQUE"), transaction.atomic():
            PaidCall.objects.create(spend=job, account=account, started_at=read_call_time(job))
    assert PaidCall.objects.filter(spend=job).count() == 1


def read_call_time(job: Spend) -> datetime:
    return PaidCall.objects.get(spend=job).started_at


def test_f08_a_call_that_was_not_sent_releases_its_promise_and_may_be_sent_again(
    new_spend: NewSpend, account: ProviderAccount
) -> None:
    job = new_spend()
    spend.promise(spend=job, account=account)
    spend.record_response(job_id=job.job_id, outcome=Outcome.NOT_SENT, code="dns", detail="no such host")
    assert reload(job).state == "estimated"
    spend.promise(spend=reload(job), account=account)
    spend.record_response(job_id=job.job_id, outcome=Outcome.ACCEPTED)
    assert reload(job).state == "promised"
    assert list(PaidCall.objects.order_by("id").values_list("outcome", "code")) == [
        ("not_sent", "dns"),
        ("accepted", ""),
    ]


def test_a_settled_job_is_never_sent(new_spend: NewSpend, account: ProviderAccount) -> None:
    job = new_spend()
    assert spend.settle(job_id=job.job_id, actual=Decimal(0), basis=Basis.NOT_SPENT)
    with pytest.raises(spend.NotEstimated), transaction.atomic():
        spend.promise(spend=job, account=account)
    assert not PaidCall.objects.exists()


def test_an_unconfirmed_call_may_turn_out_to_be_accepted(new_spend: NewSpend, account: ProviderAccount) -> None:
    job = new_spend()
    spend.promise(spend=job, account=account)
    spend.record_response(job_id=job.job_id, outcome=Outcome.UNCONFIRMED, detail="timeout")
    assert reload(job).state == "promised"
    spend.confirm_call(job_id=job.job_id)
    assert PaidCall.objects.get().outcome == "accepted"


def test_a_cost_is_settled_once_and_only_an_assumption_is_corrected(new_spend: NewSpend) -> None:
    job = new_spend()
    assert spend.settle(job_id=job.job_id, actual=Decimal(60), basis=Basis.POSSIBLE)
    assert not spend.settle(job_id=job.job_id, actual=Decimal(1), basis=Basis.REPORTED)
    assert reload(job).actual == 60
    assert spend.correct(job_id=job.job_id, actual=Decimal("37.5"), basis=Basis.REPORTED)
    assert not spend.correct(job_id=job.job_id, actual=Decimal(1), basis=Basis.REPORTED)
    assert (reload(job).actual, reload(job).basis) == (Decimal("37.5"), "reported")
    assert str(reload(job)) == f"{job.job_id}: 37.5000"


def test_the_difference_to_the_estimate_is_known_once_the_cost_is_settled(new_spend: NewSpend) -> None:
    job = new_spend()
    assert job.difference is None
    spend.settle(job_id=job.job_id, actual=Decimal("37.5"), basis=Basis.REPORTED)
    assert reload(job).difference == Decimal("-22.5")


@pytest.mark.parametrize("seed", range(6))
def test_no_ten_seconds_exceed_the_limit_whenever_calls_arrive(
    seed: int, new_spend: NewSpend, account: ProviderAccount, manual_clock: ManualClock, settings: Settings
) -> None:
    """Calls take up to 8 s and arrive at any time within them. The arrivals in every window are counted."""
    settings.HOURLY_COST_LIMIT = Decimal(0)
    rng, limit, window = random.Random(seed), 5, timedelta(seconds=10)
    arrivals: list[datetime] = []
    in_flight: list[tuple[datetime, UUID]] = []
    sent = 0
    while sent < 40:
        manual_clock.sleep(rng.choice([0.0, 0.1, 0.5, 1.0]))
        for ends_at, job in [call for call in in_flight if call[0] <= manual_clock.at]:
            in_flight.remove((ends_at, job))
            outcome = rng.choice([Outcome.ACCEPTED, Outcome.NOT_SENT, Outcome.UNCONFIRMED, Outcome.REFUSED])
            spend.record_response(job_id=job, outcome=outcome)
        if spend.count_calls_in_window(account_id=account.pk, since=manual_clock.at - window) >= limit:
            continue
        sent_job = new_spend()
        spend.promise(spend=sent_job, account=account)
        duration_s = rng.uniform(0, 8)
        arrivals.append(manual_clock.at + timedelta(seconds=rng.choice([0.0, duration_s, rng.uniform(0, duration_s)])))
        in_flight.append((manual_clock.at + timedelta(seconds=duration_s), sent_job.job_id))
        sent += 1
    arrivals.sort()
    busiest = max(sum(1 for at in arrivals if first <= at < first + window) for first in arrivals)
    assert busiest <= limit
    assert busiest == limit, "the limit is fully used"


def test_another_accounts_calls_do_not_count(
    new_spend: NewSpend, account: ProviderAccount, manual_clock: ManualClock
) -> None:
    spend.promise(spend=new_spend(), account=account)
    other = ProviderAccount.objects.create(label="Other", base_url="https://other.example")
    assert spend.count_calls_in_window(account_id=other.pk, since=manual_clock.at - timedelta(seconds=10)) == 0
    assert spend.count_calls_in_window(account_id=account.pk, since=manual_clock.at - timedelta(seconds=10)) == 1


def test_an_estimate_of_zero_cannot_be_stored(alice: User) -> None:
    free = prices.Quote(
        model="m",
        resolution="r",
        kind="k",
        user_credits=1,
        provider_credits=Decimal(0),
        usd_per_credit=Decimal("0.005"),
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        spend.estimate(job_id=job_id("free"), user=alice, quote=free)
    assert not Spend.objects.exists()

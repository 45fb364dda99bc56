"""Unusual failures and one user's burst of orders: what counts as unusual, who is stopped, and how the stop ends."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from pytest_django.fixtures import Settings

from accounts import user_actions
from accounts.models import User
from billing.costs import spend
from billing.guard import anomalies, user_holds
from billing.guard.anomalies import RecentOutcomes
from billing.models import Alert, ProviderAccount, Spend, UserHold, WatchTrip
from billing.pricing import prices
from billing.provider import accounts as provider_accounts
from tests.billing.guard.unusual_spending import NO_OUTCOMES, NOON, is_paused, record_orders, reload, run_check
from tests.clocks import ManualClock
from tests.jobs import job_id

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _at_noon(manual_clock: ManualClock, settings: Settings) -> None:
    manual_clock.at = NOON
    settings.TIME_ZONE = "UTC"


def test_failures_at_the_provider_pause_it(account: ProviderAccount) -> None:
    assert run_check(account, RecentOutcomes(20, {"generation": 12})) == []
    assert run_check(account, RecentOutcomes(19, {"generation": 19})) == []
    (trip,) = run_check(account, RecentOutcomes(20, {"timed_out": 3, "generation": 10}))
    assert (trip.kind, trip.seen, trip.usual) == ("failures", Decimal("0.65"), Decimal("0.6"))
    alert = Alert.objects.get(kind="failure_rate")
    assert alert.detail.startswith(
        "13 of the last 20 videos failed at the provider (generation 10, timed_out 3); the limit is 60 %. It ends"
    )
    assert reload(account).pause_code == "unusual_spend"


def test_after_a_trip_only_later_jobs_count(account: ProviderAccount, manual_clock: ManualClock) -> None:
    start_times: list[datetime] = []

    def outcomes_since(since: datetime) -> RecentOutcomes:
        start_times.append(since)
        return RecentOutcomes(20, {"generation": 20}) if len(start_times) == 1 else NO_OUTCOMES

    anomalies.check_anomalies(account_id=account.pk, outcomes_since=outcomes_since)
    manual_clock.sleep(5 * 60)
    provider_accounts.resume_account(account_id=account.pk)
    anomalies.check_anomalies(account_id=account.pk, outcomes_since=outcomes_since)
    manual_clock.sleep(60)
    anomalies.check_anomalies(account_id=account.pk, outcomes_since=outcomes_since)
    resumed = NOON + timedelta(minutes=5)
    assert start_times == [NOON - timedelta(hours=1), resumed, resumed]
    manual_clock.sleep(2 * 3600)
    anomalies.check_anomalies(account_id=account.pk, outcomes_since=outcomes_since)
    assert start_times[-1] == manual_clock.at - timedelta(hours=1)


def create_orders(user: User, count: int, *, minutes_ago: float = 1) -> None:
    quote = prices.get_quote(model="veo3_fast", resolution="720p")
    for _ in range(count):
        job = spend.estimate(job_id=job_id(f"job:{user.pk}:{Spend.objects.count()}"), user=user, quote=quote)
        Spend.objects.filter(pk=job.pk).update(created_at=NOON - timedelta(minutes=minutes_ago))


@pytest.fixture
def high_spend_floor(settings: Settings) -> None:
    """Raises the threshold for unusual spending, so that only bursts are stopped."""
    settings.UNUSUAL_SPEND_FLOOR = Decimal(1_000_000)


@pytest.mark.usefixtures("high_spend_floor")
def test_one_user_s_burst_holds_only_that_user(
    account: ProviderAccount, alice: User, bob: User, settings: Settings
) -> None:
    create_orders(alice, 31)
    create_orders(bob, 30)
    (trip,) = run_check(account)
    assert (trip.kind, trip.user, trip.seen, trip.usual) == ("burst", alice, 31, 0)
    hold = UserHold.objects.get()
    assert (hold.user, hold.code, hold.until) == (alice, "burst", NOON + timedelta(hours=1))
    assert not is_paused(account)
    alert = Alert.objects.get(kind="user_burst")
    assert alert.cause == f"user {alice.pk}"
    assert alert.detail.startswith("One user ordered 31 videos in ten minutes; 0 are usual for them")
    assert run_check(account) == []
    assert WatchTrip.objects.count() == 1


@pytest.mark.usefixtures("high_spend_floor")
def test_a_user_s_usual_number_of_orders_is_no_burst(account: ProviderAccount, alice: User) -> None:
    for days in (1, 2, 3):
        create_orders(alice, 8, minutes_ago=days * 24 * 60)
    create_orders(alice, 40)
    assert run_check(account) == []
    create_orders(alice, 1)
    assert [(trip.seen, trip.usual) for trip in run_check(account)] == [(41, 8)]


@pytest.mark.usefixtures("high_spend_floor")
def test_a_hold_ends_and_the_same_orders_do_not_cause_another(
    account: ProviderAccount, alice: User, manual_clock: ManualClock, settings: Settings
) -> None:
    settings.UNUSUAL_PAUSE_MINUTES = 5
    create_orders(alice, 31)
    run_check(account)
    manual_clock.sleep(5 * 60)
    assert user_holds.find_active_hold(alice.pk) is None
    assert run_check(account) == []
    trip = WatchTrip.objects.get()
    assert (trip.ended_at, trip.by_person) == (manual_clock.at, False)
    assert Alert.objects.get().resolved_at is not None
    assert user_holds.delete_expired() == 1
    assert not UserHold.objects.exists()


@pytest.mark.usefixtures("high_spend_floor")
def test_a_user_released_by_an_operator_is_held_again_only_above_twice_the_orders(
    account: ProviderAccount, alice: User, manual_clock: ManualClock
) -> None:
    create_orders(alice, 31)
    run_check(account)
    assert user_holds.release(user_id=alice.pk)
    assert run_check(account) == []
    assert WatchTrip.objects.get().by_person
    manual_clock.sleep(60)
    create_orders(alice, 62, minutes_ago=-0.5)
    assert run_check(account) == []
    create_orders(alice, 1, minutes_ago=-0.5)
    assert [trip.seen for trip in run_check(account)] == [63]


@pytest.mark.usefixtures("high_spend_floor")
def test_an_operator_s_hold_is_not_replaced_by_the_monitor(account: ProviderAccount, alice: User, olga: User) -> None:
    user_holds.hold(user=alice, code=user_holds.Code.OPERATOR, reason="please call us", actor=olga)
    create_orders(alice, 31)
    assert run_check(account) == []
    assert UserHold.objects.get().code == "person"
    assert not WatchTrip.objects.exists()


def get_burst_alert() -> Alert:
    return Alert.objects.get(kind="user_burst")


def test_a_trip_has_a_readable_name(account: ProviderAccount) -> None:
    record_orders(2001)
    (trip,) = run_check(account)
    assert str(WatchTrip.objects.get(pk=trip.pk)) == "spend 2001.0000 (0.0000)"


def test_of_two_concurrent_checks_one_ends_a_trip(account: ProviderAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    record_orders(2001)
    (trip,) = run_check(account)

    def end_trip_in_another_check(trip: WatchTrip, at: datetime) -> bool:
        WatchTrip.objects.filter(pk=trip.pk).update(ended_at=at)
        return False

    monkeypatch.setattr(anomalies, "_is_in_force", end_trip_in_another_check)
    assert anomalies.end_finished_trips() == 0
    trip.refresh_from_db()
    assert not trip.by_person


@pytest.mark.usefixtures("high_spend_floor")
def test_no_alert_contains_a_user_s_email_address(account: ProviderAccount, alice: User) -> None:
    create_orders(alice, 31)
    run_check(account)
    assert "alice" not in f"{get_burst_alert().detail} {get_burst_alert().facts} {get_burst_alert().cause}"
    user_actions.close_account(user=alice, actor=None)
    assert not UserHold.objects.exists()
    assert get_burst_alert().cause == f"user {alice.pk}"
    assert WatchTrip.objects.get().user_id == alice.pk

"""Unusual spending in an hour: what trips the monitor, what it pauses, and how the pause ends."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.costs import rollups
from billing.credits import ledger
from billing.guard import anomalies
from billing.guard import checks as guard_checks
from billing.guard.anomalies import RecentOutcomes, measure_hour
from billing.models import Alert, Measure, ProviderAccount, WatchTrip
from billing.pricing import prices
from billing.provider import accounts as provider_accounts
from tests.billing.guard.unusual_spending import NOON, a_fortnight_of, is_paused, look, now_of, ordered
from tests.clocks import ManualClock
from tests.people import give_credits

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _at_noon(manual_clock: ManualClock, settings: Settings) -> None:
    manual_clock.at = NOON
    settings.TIME_ZONE = "UTC"


def test_an_hour_far_above_the_usual_pauses_new_videos_with_a_reason(account: ProviderAccount) -> None:
    a_fortnight_of(200)
    ordered(801)
    (trip,) = look(account)
    assert (trip.kind, trip.seen, trip.usual, trip.until) == ("spend", 801, 200, NOON + timedelta(hours=1))
    paused = now_of(account)
    assert (paused.pause_code, paused.paused_by, paused.paused_until) == ("unusual_spend", None, trip.until)
    alert = Alert.objects.get(kind="unusual_spend")
    assert (alert.severity, alert.cause, alert.count) == ("critical", account.cause, 1)
    assert alert.detail == (
        "801 provider credits were ordered this hour; 200 are usual and the limit is 800. "
        "It ends automatically at 2026-09-01 13:20 UTC."
    )
    assert "the limit is 800" in paused.pause_reason


@pytest.mark.parametrize(("usual", "now"), [(200, 800), (10, 500), (0, 500)])
def test_usual_or_small_amounts_do_not_trip(account: ProviderAccount, usual: int, now: int) -> None:
    a_fortnight_of(usual)
    ordered(1, hours_ago=24 * 13 + 3)  # so that there is a history even when this hour was always idle
    ordered(now)
    assert look(account) == []
    assert not is_paused(account)
    assert not Alert.objects.exists()


def test_orders_above_the_floor_in_a_usually_idle_hour_trip(account: ProviderAccount) -> None:
    ordered(1, hours_ago=24 * 13 + 3)
    ordered(501)
    assert [trip.seen for trip in look(account)] == [501]


def test_without_history_the_threshold_is_floor_times_factor(account: ProviderAccount) -> None:
    ordered(10, hours_ago=24 * 2)
    ordered(2000)
    assert look(account) == []
    ordered("0.5")
    (trip,) = look(account)
    assert (trip.seen, trip.usual) == (Decimal("2000.5"), 0)
    assert "What is usual is not known yet, so the limit is 2,000." in Alert.objects.get().detail


def test_a_weekend_is_compared_with_weekends(manual_clock: ManualClock) -> None:
    saturday = datetime(2026, 9, 5, 12, 20, tzinfo=UTC)
    for days in range(1, 15):
        at = saturday - timedelta(days=days)
        busy = at.weekday() < 5
        counts = [(Measure.ESTIMATED, Decimal(1000 if busy else 100))]
        rollups.record_counts(ordered_at=at, model="veo3_fast", user_id=1, counts=counts)
    assert measure_hour(saturday).usual == 100
    assert measure_hour(saturday + timedelta(days=2)).usual == 1000


def test_too_few_days_of_a_kind_are_compared_with_all(account: ProviderAccount) -> None:
    saturday = datetime(2026, 9, 5, 12, 20, tzinfo=UTC)
    for days in range(1, 7):
        counts = [(Measure.ESTIMATED, Decimal(300))]
        rollups.record_counts(ordered_at=saturday - timedelta(days=days), model="m", user_id=1, counts=counts)
    assert measure_hour(saturday).usual == 300


def test_the_hour_of_day_is_the_site_s_across_daylight_saving(settings: Settings) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    # The clock went back on 25 October: 10:00 in Berlin was 8:00 UTC before and is 9:00 UTC after.
    at = datetime(2026, 10, 30, 9, 30, tzinfo=UTC)
    for days in range(1, 15):
        day = at - timedelta(days=days)
        local_ten = day.replace(hour=9 if days <= 5 else 8)
        rollups.record_counts(ordered_at=local_ten, model="m", user_id=1, counts=[(Measure.ESTIMATED, Decimal(70))])
    assert measure_hour(at).usual == 70


def test_the_pause_ends_automatically_and_the_same_hour_does_not_trip_again(
    account: ProviderAccount, manual_clock: ManualClock, settings: Settings
) -> None:
    settings.UNUSUAL_PAUSE_MINUTES = 10
    a_fortnight_of(200)
    ordered(900)
    (trip,) = look(account)
    manual_clock.sleep(11 * 60)
    assert not is_paused(account, manual_clock.at)
    assert look(account) == []
    trip.refresh_from_db()
    assert (trip.ended_at, trip.by_person) == (NOON + timedelta(minutes=10), False)
    assert Alert.objects.get().resolved_at is not None
    # It takes twice as much, and then twice that.
    ordered(900)
    assert look(account) == []
    ordered(1)
    assert [trip.seen for trip in look(account)] == [1801]
    alert = Alert.objects.get()
    assert (alert.count, alert.resolved_at) == (2, None)


def test_after_an_automatic_end_the_next_hour_can_trip(account: ProviderAccount, manual_clock: ManualClock) -> None:
    for day in range(1, 15):
        ordered(200, hours_ago=24 * day)
        ordered(200, hours_ago=24 * day - 2)
    ordered(900)
    look(account)
    manual_clock.sleep(2 * 3600)
    ordered(900, hours_ago=-2)
    assert [trip.seen for trip in look(account)] == [900]


def test_a_value_accepted_by_an_operator_does_not_trip_for_a_day(
    account: ProviderAccount, manual_clock: ManualClock
) -> None:
    for day in range(1, 15):
        ordered(200, hours_ago=24 * day)
        ordered(200, hours_ago=24 * day - 1)
    ordered(900)
    (trip,) = look(account)
    provider_accounts.resume_account(account_id=account.pk)
    assert look(account) == []
    trip.refresh_from_db()
    assert (trip.ended_at, trip.by_person) == (NOON, True)
    assert Alert.objects.get().resolved_at == NOON
    manual_clock.sleep(3600)
    ordered(1500, hours_ago=-1)
    assert look(account) == []
    assert not is_paused(account, manual_clock.at)
    manual_clock.sleep(24 * 3600)
    ordered(1500, hours_ago=-25)
    assert len(look(account)) == 1


def test_a_pause_of_zero_minutes_waits_for_an_operator(
    account: ProviderAccount, manual_clock: ManualClock, settings: Settings
) -> None:
    settings.UNUSUAL_PAUSE_MINUTES = 0
    ordered(2001)
    (trip,) = look(account)
    assert trip.until is None
    assert now_of(account).paused_until is None
    assert "It stays until an operator ends it." in Alert.objects.get().detail
    manual_clock.sleep(30 * 24 * 3600)
    assert is_paused(account, manual_clock.at)
    assert anomalies.end_finished_trips() == 0
    provider_accounts.resume_account(account_id=account.pk)
    assert anomalies.end_finished_trips() == 1
    assert anomalies.end_finished_trips() == 0


def test_an_operator_s_pause_is_not_replaced_by_the_monitor(account: ProviderAccount, olga: User) -> None:
    provider_accounts.pause_account(account_id=account.pk, actor=olga, code=ProviderAccount.Pause.MAINTENANCE)
    ordered(2001)
    assert look(account) == []
    assert now_of(account).pause_code == "maintenance"
    assert not WatchTrip.objects.exists()
    assert not Alert.objects.exists()


def test_an_operator_s_pause_ends_the_trip(account: ProviderAccount, olga: User) -> None:
    ordered(2001)
    (trip,) = look(account)
    provider_accounts.pause_account(account_id=account.pk, actor=olga, code=ProviderAccount.Pause.COST)
    assert look(account) == []
    trip.refresh_from_db()
    assert trip.by_person
    assert now_of(account).pause_code == "cost"


def test_one_check_stops_once_even_with_several_findings(account: ProviderAccount) -> None:
    ordered(2001)
    everything_fails = RecentOutcomes(30, {"generation": 30})
    assert [trip.kind for trip in look(account, everything_fails)] == ["spend"]
    assert look(account, everything_fails) == []
    assert WatchTrip.objects.count() == 1


def test_during_the_pause_orders_are_refused_and_waiting_jobs_keep_waiting(
    account: ProviderAccount, alice: User, new_spend: Callable[..., object]
) -> None:
    waiting = new_spend()
    ordered(2001)
    look(account)
    give_credits(alice, 60)
    paused = now_of(account)
    quote = prices.get_quote(model="veo3_fast", resolution="720p")
    with pytest.raises(guard_checks.Paused) as refused:
        guard_checks.check_order(
            user=alice,
            credit_account=ledger.lock_account(alice),
            quote=quote,
            provider_account=paused,
            expected_wait_s=0,
        )
    assert "until" in str(refused.value)
    assert "more is being spent than usual" in str(refused.value)
    wait = guard_checks.check_dispatch(estimate=waiting, account=paused, running=0, running_of_user=0)  # type: ignore[arg-type]
    assert wait is not None
    assert wait.code == "paused"
    assert ledger.balance_of(alice) == 60

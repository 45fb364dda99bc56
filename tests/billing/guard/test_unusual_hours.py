"""Unusual spending in an hour: what counts as unusual, what is paused, and how the pause ends."""

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
from tests.billing.guard.unusual_spending import (
    NOON,
    is_paused,
    record_orders,
    record_this_hour_daily,
    reload,
    run_check,
)
from tests.clocks import ManualClock
from tests.people import give_credits

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _at_noon(manual_clock: ManualClock, settings: Settings) -> None:
    manual_clock.at = NOON
    settings.TIME_ZONE = "UTC"


def test_an_hour_far_above_the_usual_pauses_new_videos_with_a_reason(account: ProviderAccount) -> None:
    record_this_hour_daily(200)
    record_orders(801)
    (trip,) = run_check(account)
    assert (trip.kind, trip.seen, trip.usual, trip.until) == ("spend", 801, 200, NOON + timedelta(hours=1))
    paused = reload(account)
    assert (paused.pause_code, paused.paused_by, paused.paused_until) == ("unusual_spend", None, trip.until)
    alert = Alert.objects.get(kind="unusual_spend")
    assert (alert.severity, alert.cause, alert.count) == ("critical", account.cause, 1)
    assert alert.detail == (
        "801 provider credits were ordered this hour; 200 are usual and the limit is 800. "
        "It ends automatically at 2026-09-01 13:20 UTC."
    )
    assert "the limit is 800" in paused.pause_reason


@pytest.mark.parametrize(("usual", "ordered"), [(200, 800), (10, 500), (0, 500)])
def test_usual_or_small_amounts_pause_nothing(account: ProviderAccount, usual: int, ordered: int) -> None:
    record_this_hour_daily(usual)
    record_orders(1, hours_ago=24 * 13 + 3)  # other hours have orders, so the history is long enough
    record_orders(ordered)
    assert run_check(account) == []
    assert not is_paused(account)
    assert not Alert.objects.exists()


def test_orders_above_the_floor_in_a_usually_idle_hour_pause_new_videos(account: ProviderAccount) -> None:
    record_orders(1, hours_ago=24 * 13 + 3)
    record_orders(501)
    assert [trip.seen for trip in run_check(account)] == [501]


def test_without_history_the_threshold_is_floor_times_factor(account: ProviderAccount) -> None:
    record_orders(10, hours_ago=24 * 2)
    record_orders(2000)
    assert run_check(account) == []
    record_orders("0.5")
    (trip,) = run_check(account)
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


def test_with_too_few_comparable_days_all_days_are_compared(account: ProviderAccount) -> None:
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


def test_the_pause_ends_automatically_and_the_same_orders_do_not_cause_another(
    account: ProviderAccount, manual_clock: ManualClock, settings: Settings
) -> None:
    settings.UNUSUAL_PAUSE_MINUTES = 10
    record_this_hour_daily(200)
    record_orders(900)
    (trip,) = run_check(account)
    manual_clock.sleep(11 * 60)
    assert not is_paused(account, manual_clock.at)
    assert run_check(account) == []
    trip.refresh_from_db()
    assert (trip.ended_at, trip.by_person) == (NOON + timedelta(minutes=10), False)
    assert Alert.objects.get().resolved_at is not None
    # Only more than twice the accepted amount causes another pause.
    record_orders(900)
    assert run_check(account) == []
    record_orders(1)
    assert [trip.seen for trip in run_check(account)] == [1801]
    alert = Alert.objects.get()
    assert (alert.count, alert.resolved_at) == (2, None)


def test_after_an_automatic_end_a_later_hour_can_be_paused(account: ProviderAccount, manual_clock: ManualClock) -> None:
    for day in range(1, 15):
        record_orders(200, hours_ago=24 * day)
        record_orders(200, hours_ago=24 * day - 2)
    record_orders(900)
    run_check(account)
    manual_clock.sleep(2 * 3600)
    record_orders(900, hours_ago=-2)
    assert [trip.seen for trip in run_check(account)] == [900]


def test_an_amount_accepted_by_an_operator_causes_no_pause_for_a_day(
    account: ProviderAccount, manual_clock: ManualClock
) -> None:
    for day in range(1, 15):
        record_orders(200, hours_ago=24 * day)
        record_orders(200, hours_ago=24 * day - 1)
    record_orders(900)
    (trip,) = run_check(account)
    provider_accounts.resume_account(account_id=account.pk)
    assert run_check(account) == []
    trip.refresh_from_db()
    assert (trip.ended_at, trip.by_person) == (NOON, True)
    assert Alert.objects.get().resolved_at == NOON
    manual_clock.sleep(3600)
    record_orders(1500, hours_ago=-1)
    assert run_check(account) == []
    assert not is_paused(account, manual_clock.at)
    manual_clock.sleep(24 * 3600)
    record_orders(1500, hours_ago=-25)
    assert len(run_check(account)) == 1


def test_a_pause_of_zero_minutes_waits_for_an_operator(
    account: ProviderAccount, manual_clock: ManualClock, settings: Settings
) -> None:
    settings.UNUSUAL_PAUSE_MINUTES = 0
    record_orders(2001)
    (trip,) = run_check(account)
    assert trip.until is None
    assert reload(account).paused_until is None
    assert "It stays until an operator ends it." in Alert.objects.get().detail
    manual_clock.sleep(30 * 24 * 3600)
    assert is_paused(account, manual_clock.at)
    assert anomalies.end_finished_trips() == 0
    provider_accounts.resume_account(account_id=account.pk)
    assert anomalies.end_finished_trips() == 1
    assert anomalies.end_finished_trips() == 0


def test_an_operator_s_pause_is_not_replaced_by_the_monitor(account: ProviderAccount, olga: User) -> None:
    provider_accounts.pause_account(account_id=account.pk, actor=olga, code=ProviderAccount.Pause.MAINTENANCE)
    record_orders(2001)
    assert run_check(account) == []
    assert reload(account).pause_code == "maintenance"
    assert not WatchTrip.objects.exists()
    assert not Alert.objects.exists()


def test_an_operator_s_pause_ends_the_trip(account: ProviderAccount, olga: User) -> None:
    record_orders(2001)
    (trip,) = run_check(account)
    provider_accounts.pause_account(account_id=account.pk, actor=olga, code=ProviderAccount.Pause.COST)
    assert run_check(account) == []
    trip.refresh_from_db()
    assert trip.by_person
    assert reload(account).pause_code == "cost"


def test_one_check_records_one_trip_even_with_several_findings(account: ProviderAccount) -> None:
    record_orders(2001)
    everything_fails = RecentOutcomes(30, {"generation": 30})
    assert [trip.kind for trip in run_check(account, everything_fails)] == ["spend"]
    assert run_check(account, everything_fails) == []
    assert WatchTrip.objects.count() == 1


def test_during_the_pause_orders_are_refused_and_waiting_jobs_keep_waiting(
    account: ProviderAccount, alice: User, new_spend: Callable[..., object]
) -> None:
    waiting = new_spend()
    record_orders(2001)
    run_check(account)
    give_credits(alice, 60)
    paused = reload(account)
    quote = prices.get_quote(model="veo3_fast", resolution="720p")
    with pytest.raises(guard_checks.Paused) as error:
        guard_checks.check_order(
            user=alice,
            credit_account=ledger.lock_account(alice),
            quote=quote,
            provider_account=paused,
            expected_wait_s=0,
        )
    assert "until" in str(error.value)
    assert "more is being spent than usual" in str(error.value)
    wait = guard_checks.check_dispatch(estimate=waiting, account=paused, running=0, running_of_user=0)  # type: ignore[arg-type]
    assert wait is not None
    assert wait.code == "paused"
    assert ledger.balance_of(alice) == 60

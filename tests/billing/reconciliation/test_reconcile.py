"""The provider's balance against our books: what jobs explain, and what is missing."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.models import Alert, ProviderAccount
from billing.reconciliation import reconcile, top_ups
from tests.billing.reconciliation.helpers import get_unexplained_alert, reconcile_day
from tests.billing.simulated_provider import SimulatedProvider
from tests.clocks import ManualClock
from videos.worker import sweep
from videos.worker import tasks as worker_tasks

pytestmark = pytest.mark.django_db


def test_fewer_than_two_readings_give_no_result(provider: SimulatedProvider) -> None:
    assert reconcile.reconcile(account=provider.account, since=provider.clock.at, until=provider.clock.at) is None
    provider.read_balance()
    assert reconcile.reconcile(account=provider.account, since=provider.clock.at, until=provider.clock.at) is None
    assert reconcile.update_unexplained(provider.account) is None
    assert top_ups.record_rises(provider.account) == []


def test_the_cost_of_videos_explains_the_balance(provider: SimulatedProvider) -> None:
    provider.read_balance()
    for _ in range(3):
        provider.run_job()
    provider.run_job(actual=0, basis="not_spent", charged=-60)
    provider.read_balance()
    result = reconcile_day(provider)
    assert (result.opening.balance, result.closing.balance) == (5000, 4820)
    assert (result.settled.count, result.settled.estimated, result.settled.actual) == (4, 240, 180)
    assert (result.unexplained, result.in_flight, result.jumps) == (0, 0, ())
    assert result.is_explained
    assert not result.has_missing_credits
    assert result.largest_jump is None
    assert result.correction_time == result.closing.taken_at


def test_a_running_video_may_or_may_not_be_charged_yet(provider: SimulatedProvider) -> None:
    provider.read_balance()
    charged_when_sent, charged_when_settled = provider.send_job(), provider.send_job(charged=0)
    provider.read_balance()
    result = reconcile_day(provider)
    assert (result.open.count, result.open.estimated, result.in_flight) == (2, 120, -60)
    assert (result.in_flight_min, result.in_flight_max) == (-120, 0)
    assert result.unexplained == 0
    provider.settle_job(charged_when_sent)
    provider.settle_job(charged_when_settled, charged=60)
    provider.read_balance()
    result = reconcile_day(provider)
    assert (result.open.count, result.in_flight, result.settled.actual, result.unexplained) == (0, 0, 120, 0)


def test_the_balance_may_lag_behind_a_settled_cost(provider: SimulatedProvider) -> None:
    provider.read_balance()
    job = provider.send_job(charged=0)
    provider.settle_job(job)
    provider.read_balance(seconds=30)
    result = reconcile_day(provider)
    assert (result.unexplained, result.settled.count, result.open.count) == (0, 0, 1)
    provider.balance -= 60
    provider.read_balance()
    assert (reconcile_day(provider).unexplained, reconcile_day(provider).settled.count) == (0, 1)


def test_a_video_given_up_without_a_result_may_have_been_charged(provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.run_job(actual=60, basis="possible")
    uncharged = provider.send_job(charged=0)
    provider.settle_job(uncharged, actual=60, basis="possible")
    provider.read_balance()
    result = reconcile_day(provider)
    assert (result.unexplained, result.open.count, result.in_flight) == (0, 2, -60)


def test_a_charged_video_that_was_assumed_free_is_unexplained(provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.run_job(actual=0, basis="assumed")
    provider.read_balance()
    result = reconcile_day(provider)
    assert result.unexplained == -60
    assert (result.free.count, result.free.estimated) == (1, 60)


def test_videos_of_another_key_at_the_same_address_may_share_the_balance(provider: SimulatedProvider) -> None:
    same_address = ProviderAccount.objects.create(
        label="old", source="admin", base_url=provider.account.base_url, upload_base_url="", key_fingerprint="old"
    )
    other_address = ProviderAccount.objects.create(
        label="else", source="admin", base_url="https://elsewhere.example", upload_base_url="", key_fingerprint="else"
    )
    provider.read_balance()
    provider.settle_job(provider.send_job(account=same_address))
    provider.read_balance()
    assert (reconcile_day(provider).unexplained, reconcile_day(provider).settled.count) == (0, 0)
    provider.settle_job(provider.send_job(account=other_address))
    provider.read_balance()
    assert reconcile_day(provider).unexplained == -60


def test_the_opening_reading_is_the_one_with_the_fewest_reserved_credits_shortly_before(
    provider: SimulatedProvider,
) -> None:
    idle_reading = provider.read_balance()
    job = provider.send_job()
    provider.read_balance(minutes=30)
    since = provider.clock.at + timedelta(minutes=1)
    provider.read_balance()
    provider.settle_job(job)
    last = provider.read_balance()
    assert reconcile_day(provider, since).opening == idle_reading
    provider.read_balance(hours=5)
    assert reconcile_day(provider, provider.clock.at - timedelta(hours=1)).opening == last
    assert reconcile_day(provider, idle_reading.taken_at - timedelta(days=9)).opening == idle_reading


def test_missing_credits_raise_an_alert(provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.run_job()
    provider.balance -= Decimal("12.5")
    provider.read_balance()
    result = reconcile_day(provider)
    assert (result.unexplained, result.has_missing_credits) == (Decimal("-12.5"), True)
    assert result.largest_jump is not None
    assert result.correction_time == result.largest_jump.after.at == provider.clock.at
    top_ups.reconcile_accounts()
    top_ups.reconcile_accounts()
    alert = get_unexplained_alert()
    assert (alert.cause, alert.count, alert.severity) == (provider.account.cause, 2, "warning")
    assert alert.detail.endswith("Most of them left between 2026-09-01 12:03 UTC and 2026-09-01 12:07 UTC.")


def test_a_difference_within_the_tolerance_raises_no_alert(provider: SimulatedProvider, settings: Settings) -> None:
    settings.UNEXPLAINED_TOLERANCE = Decimal(5)
    provider.read_balance()
    provider.balance -= 5
    provider.read_balance()
    assert reconcile_day(provider).is_explained
    reconcile.update_unexplained(provider.account)
    assert not Alert.objects.filter(kind="unexplained_spend").exists()
    provider.balance -= Decimal("0.5")
    provider.read_balance()
    reconcile.update_unexplained(provider.account)
    assert get_unexplained_alert().resolved_at is None


def test_a_difference_raises_alerts_for_thirty_days(provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.balance -= 100
    provider.read_balance()
    provider.read_balance(days=29)
    top_ups.reconcile_accounts()
    assert get_unexplained_alert().resolved_at is None
    provider.read_balance(days=2)
    provider.read_balance(days=2)
    top_ups.reconcile_accounts()
    assert Alert.objects.get(kind="unexplained_spend", count=1).resolved_at is not None


def test_an_account_without_recent_readings_is_skipped(provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.balance -= 100
    provider.read_balance()
    provider.advance(days=31)
    top_ups.reconcile_accounts()
    assert not Alert.objects.exists()


@hypothesis_settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.sampled_from(["job", "failed", "send", "send_uncharged", "finish", "read", "top_up"]), max_size=10),
    st.one_of(st.just(Decimal(0)), st.decimals(min_value="5.5", max_value=300, places=1)),
)
def test_correct_charges_are_always_explained_and_any_loss_is_found_in_full(
    provider: SimulatedProvider, manual_clock: ManualClock, alice: User, steps: list[str], loss: Decimal
) -> None:
    with transaction.atomic():
        provider = SimulatedProvider(manual_clock, alice)
        provider.read_balance()
        running, topped_up = [], Decimal(0)
        for step in steps:
            if step == "job":
                provider.run_job()
            elif step == "failed":
                provider.settle_job(provider.send_job(), actual=0, charged=-60)
            elif step == "send":
                running.append((provider.send_job(), 0))
            elif step == "send_uncharged":
                running.append((provider.send_job(charged=0), 60))
            elif step == "finish" and running:
                job, remaining_charge = running.pop()
                provider.settle_job(job, charged=remaining_charge)
            elif step == "top_up":
                provider.balance += 1000
                topped_up += 1000
            provider.read_balance()
        for job, remaining_charge in running:
            provider.settle_job(job, charged=remaining_charge)
        provider.read_balance()
        provider.balance -= loss
        provider.read_balance()
        provider.read_balance(minutes=16)
        top_ups.reconcile_accounts()
        result = reconcile_day(provider)
        assert result.top_ups == topped_up
        assert result.unexplained == -loss
        assert Alert.objects.filter(kind="unexplained_spend", resolved_at=None).exists() == bool(loss)
        transaction.set_rollback(True)


def test_the_balance_is_compared_every_five_minutes(provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.balance -= 100
    provider.read_balance()
    assert "reconcile" in sweep.enqueue_due()
    worker_tasks.reconcile()
    assert get_unexplained_alert().cause == provider.account.cause
    assert "reconcile" not in sweep.enqueue_due()
    provider.advance(minutes=5, seconds=1)
    assert "reconcile" in sweep.enqueue_due()

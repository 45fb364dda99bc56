"""Top-ups and returned credits are recognised from the readings and recorded once."""

from decimal import Decimal

import pytest
from django.db.models import F

from billing.credits import ledger
from billing.models import Alert, BalanceSnapshot, ProviderAccount, ProviderEntry
from billing.provider import accounts as provider_accounts
from billing.reconciliation import top_ups
from tests.billing.conftest import without_history_protection
from tests.billing.reconciliation.helpers import get_unexplained_alert, list_entries, reconcile_day
from tests.billing.simulated_provider import SimulatedProvider
from tests.jobs import job_id
from tests.people import give_credits

pytestmark = pytest.mark.django_db


def test_a_top_up_is_recorded(provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.balance += 1000
    after = provider.read_balance()
    assert top_ups.record_rises(provider.account) == [], "a delayed reading may still arrive"
    assert len(top_ups.list_unrecorded_rises(reconcile_day(provider))) == 1
    provider.advance(minutes=2)
    (entry,) = top_ups.record_rises(provider.account)
    assert (entry.kind, entry.amount, entry.snapshot, entry.happened_at) == ("top_up", 1000, after, after.taken_at)
    assert (entry.actor, entry.job_id) == (None, None)
    result = reconcile_day(provider)
    assert (result.top_ups, result.unexplained, result.jumps) == (1000, 0, ())
    assert top_ups.list_unrecorded_rises(result) == []


def test_f78_a_top_up_seen_twice_is_recorded_once(provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.balance += 1000
    provider.read_balance()
    for _ in range(3):
        provider.read_balance()
        top_ups.reconcile_accounts()
    assert list_entries() == [("top_up", 1000)]
    assert reconcile_day(provider).unexplained == 0


def test_a_reading_out_of_order_causes_no_second_top_up(provider: SimulatedProvider) -> None:
    provider.read_balance()
    before = provider.balance
    provider.balance += 1000
    provider.read_balance()
    provider.read_balance(before, seconds=1)
    provider.read_balance(seconds=50)
    provider.read_balance()
    top_ups.reconcile_accounts()
    provider.read_balance()
    top_ups.reconcile_accounts()
    assert list_entries() == [("top_up", 1000)]
    assert reconcile_day(provider).unexplained == 0
    assert not Alert.objects.filter(kind="unexplained_spend").exists()


def test_a_loss_right_after_a_top_up_stays_a_loss(provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.balance += 1000
    provider.read_balance()
    provider.balance -= 70
    provider.read_balance(minutes=1)
    provider.read_balance()
    top_ups.reconcile_accounts()
    assert list_entries() == [("top_up", 1000)]
    assert reconcile_day(provider).unexplained == -70
    assert get_unexplained_alert().resolved_at is None


def test_two_top_ups_are_recorded_separately(provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.balance += 1000
    provider.read_balance()
    provider.balance += 5000
    provider.read_balance(minutes=40)
    provider.read_balance()
    top_ups.reconcile_accounts()
    assert list_entries() == [("top_up", 1000), ("top_up", 5000)]


def test_a_top_up_that_running_videos_make_uncertain_is_recorded_once_it_is_certain(
    provider: SimulatedProvider,
) -> None:
    provider.read_balance()
    provider.balance += 1100
    jobs = [provider.send_job() for _ in range(2)]
    provider.read_balance()
    provider.advance(minutes=3)
    assert top_ups.record_rises(provider.account) == []
    (rise,) = top_ups.list_unrecorded_rises(reconcile_day(provider))
    assert (rise.min_amount, rise.max_amount, rise.is_uncertain) == (980, 1100, True)
    for job in jobs:
        provider.settle_job(job)
    provider.read_balance()
    provider.advance(minutes=2)
    top_ups.record_rises(provider.account)
    assert list_entries() == [("top_up", 1100)]
    assert reconcile_day(provider).unexplained == 0


@pytest.mark.parametrize(
    ("added", "charged", "recorded"),
    [(1000, 60, 1000), (937, 60, 817), (1000, 0, 1000), (5500, 60, 5500), (Decimal("31.5"), 0, Decimal("31.5"))],
)
def test_a_top_up_that_stays_uncertain_is_recorded_as_the_roundest_amount_in_range(
    provider: SimulatedProvider, added: Decimal, charged: int, recorded: Decimal
) -> None:
    provider.read_balance()
    provider.balance += added
    for _ in range(2):
        provider.send_job(charged=charged)
    provider.read_balance()
    provider.read_balance(minutes=16)
    top_ups.record_rises(provider.account)
    assert list_entries() == [("top_up", recorded)]


def test_only_the_certain_part_is_recorded_when_several_round_amounts_fit(provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.balance += 1000
    for _ in range(5):
        provider.send_job(model="veo3", charged=250)
    provider.balance += 1000
    jobs = list(provider.account.spends.all())
    provider.read_balance()
    provider.read_balance(minutes=16)
    top_ups.record_rises(provider.account)
    assert list_entries() == [("top_up", 750)]
    for job in jobs:
        provider.settle_job(job, actual=250)
    provider.read_balance()
    provider.read_balance()
    top_ups.record_rises(provider.account)
    assert [amount for _, amount in list_entries()] == [750, 1250]
    assert reconcile_day(provider).unexplained == 0


def test_a_further_part_of_a_rise_is_recorded_as_a_second_entry(provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.balance += 1000
    first = provider.read_balance()
    provider.advance(minutes=2)
    top_ups.record_rises(provider.account)
    # Later readings show that a job which seemed to be charged was free.
    with without_history_protection():
        BalanceSnapshot.objects.filter(pk__gte=first.pk).update(balance=F("balance") + 500)
    top_ups.record_rises(provider.account)
    assert list_entries() == [("top_up", 1000), ("top_up", 500)]


# Returned credits


def settle_refunded_job(provider: SimulatedProvider, **facts: object):  # type: ignore[no-untyped-def]
    """A failed video that was paid at the provider, and refunded to its user."""
    give_credits(provider.user, 60)
    job = provider.send_job()
    key = f"charge:{job.job_id}"
    ledger.charge(user=provider.user, user_credits=60, idempotency_key=key, job_id=job.job_id, reference="job")
    ledger.refund(charge_key=key, idempotency_key=f"refund:{job.job_id}")
    provider.settle_job(job, **{"actual": 60, "basis": "assumed", **facts})  # type: ignore[arg-type]
    return job


def test_the_returned_cost_of_a_failed_video_is_recorded(provider: SimulatedProvider) -> None:
    provider.read_balance()
    failed = settle_refunded_job(provider)
    provider.run_job()
    provider.read_balance()
    assert reconcile_day(provider).unexplained == 0
    provider.balance += 60
    provider.read_balance()
    provider.advance(minutes=2)
    top_ups.record_rises(provider.account)
    entry = ProviderEntry.objects.get()
    assert (entry.kind, entry.amount, entry.job_id) == ("returned", 60, failed.job_id)
    assert (reconcile_day(provider).returned, reconcile_day(provider).unexplained) == (60, 0)


def test_each_video_is_returned_once(provider: SimulatedProvider) -> None:
    provider.read_balance()
    for _ in range(3):
        settle_refunded_job(provider)
    provider.read_balance()
    provider.balance += 120
    provider.read_balance()
    provider.balance += 60
    provider.read_balance(minutes=40)
    provider.balance += 60
    provider.read_balance(minutes=40)
    provider.read_balance()
    top_ups.reconcile_accounts()
    assert list_entries() == [("returned", 60), ("returned", 60), ("returned", 60), ("top_up", 60)]
    assert ProviderEntry.objects.filter(kind="returned").values("job_id").distinct().count() == 3
    assert reconcile_day(provider).unexplained == 0


def test_an_unrecorded_charge_and_its_return_cancel_out(provider: SimulatedProvider) -> None:
    provider.read_balance()
    settle_refunded_job(provider, actual=0)
    provider.read_balance()
    assert reconcile_day(provider).unexplained == -60
    provider.balance += 60
    provider.read_balance()
    provider.read_balance()
    top_ups.reconcile_accounts()
    assert list_entries() == []
    assert reconcile_day(provider).unexplained == 0


def test_a_top_up_after_a_loss_is_not_recorded_as_a_return(provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.balance -= 1500
    provider.read_balance()
    provider.balance += 1000
    provider.read_balance()
    provider.read_balance()
    top_ups.reconcile_accounts()
    assert list_entries() == [("top_up", 1000)]
    assert reconcile_day(provider).unexplained == -1500


def test_parts_that_add_up_to_an_amount_are_found() -> None:
    a, b, c = job_id("a"), job_id("b"), job_id("c")
    parts = {a: Decimal(60), b: Decimal("37.5"), c: Decimal(60)}
    assert top_ups.find_parts_summing_to(Decimal("97.5"), parts) == [a, b]
    assert top_ups.find_parts_summing_to(Decimal(120), parts) == [a, c]
    assert top_ups.find_parts_summing_to(Decimal(61), parts) == []
    assert top_ups.find_parts_summing_to(Decimal(61), {}) == []


def test_an_entry_written_while_the_history_is_read_stops_this_run(
    provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.read_balance()
    provider.balance += 1000
    provider.read_balance()
    provider.read_balance()
    lock = provider_accounts.lock_account

    def lock_after_another(account_id: int) -> ProviderAccount:
        monkeypatch.undo()
        assert len(top_ups.record_rises(provider.account)) == 1
        return lock(account_id)

    monkeypatch.setattr(provider_accounts, "lock_account", lock_after_another)
    assert top_ups.record_rises(provider.account) == []
    assert list_entries() == [("top_up", 1000)]
    assert reconcile_day(provider).unexplained == 0


def test_the_account_is_not_locked_while_the_history_is_read(
    provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.read_balance()
    provider.run_job()
    provider.read_balance()
    provider.read_balance()

    def fail_on_lock(account_id: int) -> ProviderAccount:
        raise AssertionError("the account was locked")

    with monkeypatch.context() as patch:
        patch.setattr(provider_accounts, "lock_account", fail_on_lock)
        assert top_ups.record_rises(provider.account) == []
    provider.balance += 1000
    provider.read_balance()
    provider.advance(minutes=2)
    with monkeypatch.context() as patch:
        patch.setattr(provider_accounts, "lock_account", fail_on_lock)
        with pytest.raises(AssertionError, match="the account was locked"):
            top_ups.record_rises(provider.account)


def test_a_rise_within_the_tolerance_is_no_top_up(provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.balance += 5
    provider.read_balance()
    provider.read_balance()
    assert top_ups.record_rises(provider.account) == []
    assert reconcile_day(provider).unexplained == 5

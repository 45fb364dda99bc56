"""I1 to I4, I22: checks of accounts, lots and entries."""

import pytest
from django.db import connection
from django.db.models import F

from accounts.models import User
from billing.credits import ledger
from billing.models import CreditAccount, CreditLot, LedgerEntry, LotUse
from tests.billing import history
from tests.billing.audit.breakage import (
    charge_of,
    drop_trigger,
    find_references,
    force_delete,
    force_update,
    media,
    names_for_vendor,
)
from tests.jobs import job_id
from tests.people import give_credits

__all__ = ["media"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]


def test_i1_a_balance_that_differs_from_its_entries(alice: User) -> None:
    give_credits(alice, 10)
    CreditAccount.objects.update(balance=F("balance") + 1)
    account = CreditAccount.objects.get()
    assert find_references() == {("I1", f"credit account {account.pk}")}


def test_i1_a_balance_without_any_entry(alice: User) -> None:
    account = CreditAccount.objects.create(user=alice, balance=5)
    assert find_references() == {("I1", f"credit account {account.pk}")}


def test_i1_an_entry_that_does_not_continue_the_previous_balance(alice: User) -> None:
    for _ in range(3):
        give_credits(alice, 10)
    middle = ledger.statement(alice).order_by("id")[1]
    force_update(LedgerEntry, middle.pk, balance_after=25)
    assert find_references() == {("I1", f"ledger entry {middle.pk}"), ("I1", f"ledger entry {middle.pk + 1}")}


def test_i1_a_missing_entry(alice: User) -> None:
    for _ in range(3):
        give_credits(alice, 10)
    middle = ledger.statement(alice).order_by("id")[1]
    account = middle.account_id
    CreditLot.objects.filter(entry=middle).update(entry=None)
    force_delete(LedgerEntry, middle.pk)
    assert find_references() == {("I1", f"credit account {account}"), ("I1", f"ledger entry {middle.pk + 1}")}


def test_i1_lots_that_differ_from_the_balance(alice: User) -> None:
    give_credits(alice, 10)
    lot = CreditLot.objects.get()
    CreditLot.objects.update(remaining=9)
    assert find_references() == {("I1", f"credit account {lot.account_id}"), ("I1", f"credit lot {lot.pk}")}


def test_i1_a_lot_that_differs_from_its_uses(alice: User) -> None:
    task = history.make_cancelled(alice)
    assert find_references() == set()
    LotUse.objects.filter(entry__kind="refund").delete()
    assert find_references() == {("I1", f"credit lot {CreditLot.objects.get().pk}")}
    LotUse.objects.filter(entry=charge_of(task)).update(amount=1)
    assert ("I1", f"ledger entry {charge_of(task).pk}") in find_references()


def test_i1_a_grant_whose_lot_has_another_amount(alice: User) -> None:
    give_credits(alice, 10)
    lot = CreditLot.objects.get()
    CreditLot.objects.update(granted=11)
    assert find_references() == {("I1", f"credit lot {lot.pk}"), ("I1", f"ledger entry {lot.entry_id}")}


def test_i2_missing_triggers_of_the_ledger(alice: User) -> None:
    for name in names_for_vendor(
        postgresql=["veoapp_ledger_no_change", "veoapp_ledger_no_truncate"],
        sqlite=["veoapp_ledger_no_update", "veoapp_ledger_no_delete", "veoapp_ledger_no_replace"],
    ):
        drop_trigger(name, "billing_ledgerentry")
        assert ("I2", name) in find_references()


@pytest.mark.postgres
def test_i2_a_disabled_trigger_and_one_without_effect(alice: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_ledgerentry DISABLE TRIGGER veoapp_ledger_no_truncate")
        assert find_references() == {("I2", "veoapp_ledger_no_truncate")}
        cursor.execute(
            "CREATE OR REPLACE FUNCTION veoapp_ledger_append_only() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN RETURN NEW; END $$"
        )
    assert find_references() == {("I2", "veoapp_ledger_no_truncate"), ("I2", "veoapp_ledger_no_change")}


@pytest.mark.postgres
def test_i3_a_charge_refunded_twice(alice: User) -> None:
    task = history.make_cancelled(alice)
    charge = charge_of(task)
    connection.check_constraints()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_ledgerentry DROP CONSTRAINT billing_ledgerentry_reverses_id_key")
    account = charge.account
    CreditAccount.objects.filter(pk=account.pk).update(balance=120)
    second_refund = LedgerEntry.objects.create(
        account=account, kind="refund", amount=60, balance_after=120, idempotency_key="again",
        reference=charge.reference, job_id=charge.job_id, reverses=charge,
    )  # fmt: skip
    CreditLot.objects.create(account=account, entry=second_refund, granted=60, remaining=60)
    assert find_references() == {("I3", f"ledger entry {charge.pk}")}


def test_i3_a_failed_video_without_its_refund(alice: User) -> None:
    task = history.make_failed(alice)
    refund = LedgerEntry.objects.get(kind="refund")
    LotUse.objects.filter(entry=refund).delete()
    force_delete(LedgerEntry, refund.pk)
    CreditAccount.objects.update(balance=0)
    CreditLot.objects.update(remaining=0)
    assert find_references() == {("I3", task.reference)}


def test_i3_a_delivered_video_that_was_refunded(alice: User) -> None:
    task = history.make_ready(alice)
    ledger.refund(charge_key=task.charge_key, idempotency_key=task.refund_key)
    assert find_references() == {("I3", task.reference)}


def test_i3_a_video_that_was_never_charged(alice: User) -> None:
    task = history.make_waiting(alice)
    LotUse.objects.all().delete()
    force_delete(LedgerEntry, charge_of(task).pk)
    CreditAccount.objects.update(balance=60)
    CreditLot.objects.update(remaining=60)
    assert find_references() == {("I3", task.reference), ("I22", f"job:{task.pk}")}


def test_i4_a_refund_of_another_amount(alice: User) -> None:
    history.make_cancelled(alice)
    refund = LedgerEntry.objects.get(kind="refund")
    force_update(LedgerEntry, refund.pk, amount=59, balance_after=59)
    CreditAccount.objects.update(balance=59)
    LotUse.objects.filter(entry=refund).update(amount=59)
    CreditLot.objects.update(remaining=59)
    assert find_references() == {("I4", f"ledger entry {refund.pk}")}


def test_i4_a_refund_to_another_user(alice: User, bob: User) -> None:
    history.make_cancelled(alice)
    refund = LedgerEntry.objects.get(kind="refund")
    CreditAccount.objects.create(user=bob, balance=60)
    force_update(LedgerEntry, refund.pk, account=bob.credit_account)
    CreditAccount.objects.filter(user=alice).update(balance=0)
    LotUse.objects.filter(entry=refund).delete()
    CreditLot.objects.update(remaining=0)
    CreditLot.objects.create(account=bob.credit_account, entry=refund, granted=60, remaining=60)
    assert find_references() == {("I4", f"ledger entry {refund.pk}")}


def test_i22_an_entry_without_a_cause(alice: User) -> None:
    give_credits(alice, 100)
    grant = ledger.statement(alice).get()
    force_update(LedgerEntry, grant.pk, note="")
    charge = ledger.charge(
        user=alice, user_credits=10, idempotency_key="k", job_id=job_id("nothing"), reference="nothing"
    )
    assert find_references() == {("I22", f"ledger entry {grant.pk}"), ("I22", f"ledger entry {charge.pk}")}


def test_i22_a_charge_for_a_missing_video(alice: User) -> None:
    task = history.make_cancelled(alice)
    charge = charge_of(task)
    task.delete()
    refund = LedgerEntry.objects.get(reverses=charge)
    assert find_references() == {("I22", f"ledger entry {charge.pk}"), ("I22", f"ledger entry {refund.pk}")}

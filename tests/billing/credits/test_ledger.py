"""The ledger: idempotent changes of the balance, and entries that the database never changes or deletes."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import F, ProtectedError

from accounts.models import User
from billing.credits import ledger
from billing.models import CreditAccount, LedgerEntry
from tests.jobs import job_id
from tests.people import give_credits

pytestmark = pytest.mark.django_db
APPEND_ONLY = "append-only"
COLUMNS = [str(field.column) for field in LedgerEntry._meta.fields]


def balance_and_entries(user: User) -> tuple[int, list[tuple[str, int]]]:
    """The balance, and the entries oldest first."""
    entries = ledger.statement(user).order_by("id")
    return ledger.balance_of(user), list(entries.values_list("kind", "amount"))


def charge(user: User, key: str = "charge:1", user_credits: int = 60, reference: str = "job:1") -> LedgerEntry:
    return ledger.charge(
        user=user, user_credits=user_credits, idempotency_key=key, job_id=job_id(reference), reference=reference
    )


def test_a_user_without_credits_has_no_holdings(alice: User) -> None:
    assert ledger.balance_of(alice) == 0
    assert not ledger.statement(alice).exists()
    assert not CreditAccount.objects.exists()


def test_a_grant_moves_balance_and_entry_together(alice: User, olga: User) -> None:
    entry = ledger.grant(user=alice, user_credits=100, idempotency_key="g", note=" Welcome ", actor=olga)
    assert (entry.kind, entry.amount, entry.balance_after) == ("grant", 100, 100)
    assert (entry.actor, entry.note, entry.reverses) == (olga, "Welcome", None)
    assert str(entry) == "Grant +100"
    assert str(entry.account) == "alice@example.com · 100"
    assert balance_and_entries(alice) == (100, [("grant", 100)])


def test_a_purchase_is_a_grant_of_its_kind_with_its_payment_as_reference(alice: User) -> None:
    ledger.grant(
        user=alice, user_credits=500, idempotency_key="p", reference="payment:7", kind=LedgerEntry.Kind.PURCHASE
    )
    assert balance_and_entries(alice) == (500, [("purchase", 500)])


def test_a_repeated_key_grants_credits_once(alice: User) -> None:
    first = ledger.grant(user=alice, user_credits=100, idempotency_key="g", note="why")
    again = ledger.grant(user=alice, user_credits=100, idempotency_key="g", note="why")
    assert again == first
    assert balance_and_entries(alice) == (100, [("grant", 100)])


def test_a_repeated_charge_returns_the_first_even_with_an_empty_balance(alice: User) -> None:
    give_credits(alice, 60)
    first = charge(alice)
    assert ledger.balance_of(alice) == 0
    assert charge(alice) == first
    assert balance_and_entries(alice) == (0, [("grant", 60), ("charge", -60)])


@pytest.mark.parametrize(
    "changed",
    [
        {"user_credits": 59},
        {"reference": "job:2"},
    ],
)
def test_f02_a_key_of_a_different_movement_is_refused(alice: User, changed: dict[str, object]) -> None:
    give_credits(alice, 200)
    charge(alice)
    with pytest.raises(ledger.KeyReused):
        charge(alice, **changed)  # type: ignore[arg-type]
    assert balance_and_entries(alice) == (140, [("grant", 200), ("charge", -60)])


def test_a_key_of_one_user_is_refused_to_another(alice: User, bob: User) -> None:
    ledger.grant(user=alice, user_credits=10, idempotency_key="g", note="why")
    with pytest.raises(ledger.KeyReused):
        ledger.grant(user=bob, user_credits=10, idempotency_key="g", note="why")
    assert balance_and_entries(alice) == (10, [("grant", 10)])
    assert balance_and_entries(bob) == (0, [])


def test_a_charge_above_the_balance_changes_nothing(alice: User) -> None:
    give_credits(alice, 59)
    with pytest.raises(ledger.InsufficientCredits) as assert_append_only:
        charge(alice)
    assert (assert_append_only.value.balance, assert_append_only.value.needed) == (59, 60)
    assert balance_and_entries(alice) == (59, [("grant", 59)])


def test_a_refund_returns_the_whole_charge_and_references_it(alice: User) -> None:
    give_credits(alice, 100)
    charged = charge(alice)
    refund = ledger.refund(charge_key="charge:1", idempotency_key="refund:1", note="failed")
    assert (refund.kind, refund.amount, refund.reverses, refund.reference) == ("refund", 60, charged, "job:1")
    assert balance_and_entries(alice) == (100, [("grant", 100), ("charge", -60), ("refund", 60)])


def test_a_second_refund_of_a_charge_returns_the_first_whatever_its_key(alice: User) -> None:
    give_credits(alice, 60)
    charge(alice)
    first = ledger.refund(charge_key="charge:1", idempotency_key="refund:1")
    assert ledger.refund(charge_key="charge:1", idempotency_key="refund:1") == first
    assert ledger.refund(charge_key="charge:1", idempotency_key="refund:by-hand") == first
    assert balance_and_entries(alice) == (60, [("grant", 60), ("charge", -60), ("refund", 60)])


def test_a_refund_key_is_not_accepted_for_another_charge(alice: User) -> None:
    give_credits(alice, 120)
    charge(alice)
    charge(alice, "charge:2")
    ledger.refund(charge_key="charge:1", idempotency_key="refund:1")
    with pytest.raises(ledger.KeyReused):
        ledger.refund(charge_key="charge:2", idempotency_key="refund:1")
    assert balance_and_entries(alice) == (60, [("grant", 120), ("charge", -60), ("charge", -60), ("refund", 60)])


def test_a_refund_without_a_charge_is_refused(alice: User) -> None:
    give_credits(alice, 60)
    key = ledger.statement(alice).get().idempotency_key
    for unknown in ("charge:1", key):
        with pytest.raises(LedgerEntry.DoesNotExist):
            ledger.refund(charge_key=unknown, idempotency_key="refund:1")
    assert balance_and_entries(alice) == (60, [("grant", 60)])


def test_adjustments_add_or_remove_credits_but_never_go_below_zero(alice: User, olga: User) -> None:
    ledger.adjust(user=alice, user_credits=50, idempotency_key="a", note="counted wrongly", actor=olga)
    ledger.adjust(user=alice, user_credits=-20, idempotency_key="b", note="counted wrongly", actor=olga)
    with pytest.raises(ledger.InsufficientCredits):
        ledger.adjust(user=alice, user_credits=-31, idempotency_key="c", note="too much", actor=olga)
    assert balance_and_entries(alice) == (30, [("adjustment", 50), ("adjustment", -20)])


def test_invalid_arguments_change_nothing(alice: User) -> None:
    invalid_calls: list[Callable[[], object]] = [
        lambda: ledger.grant(user=alice, user_credits=0, idempotency_key="k", note="why"),
        lambda: ledger.grant(user=alice, user_credits=-5, idempotency_key="k", note="why"),
        lambda: ledger.grant(user=alice, user_credits=5, idempotency_key="k", note=" "),
        lambda: ledger.grant(user=alice, user_credits=ledger.MAX_ENTRY_AMOUNT + 1, idempotency_key="k", note="why"),
        lambda: charge(alice, user_credits=0),
        lambda: charge(alice, user_credits=-5),
        lambda: ledger.adjust(user=alice, user_credits=0, idempotency_key="k", note="why", actor=None),
        lambda: ledger.adjust(user=alice, user_credits=5, idempotency_key="k", note=" ", actor=None),
    ]
    for call in invalid_calls:
        with pytest.raises(ValueError, match=r"credit|reason"):
            call()
    assert balance_and_entries(alice) == (0, [])


def test_a_long_note_is_cut_not_refused(alice: User) -> None:
    entry = ledger.grant(user=alice, user_credits=1, idempotency_key="g", note="x" * 600)
    assert len(entry.note) == ledger.NOTE_LENGTH
    assert balance_and_entries(alice) == (1, [("grant", 1)])


# What the database itself refuses


@pytest.fixture
def entry(alice: User) -> LedgerEntry:
    give_credits(alice, 100)
    return ledger.statement(alice).get()


def assert_append_only(change: Callable[[], object]) -> None:
    """The database refuses the change."""
    with pytest.raises(DatabaseError, match=APPEND_ONLY), transaction.atomic():
        change()


def execute_sql(sql: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def test_no_entry_can_be_changed_or_deleted_in_any_way(entry: LedgerEntry) -> None:
    entry.amount = 1_000
    assert_append_only(entry.save)
    assert_append_only(lambda: LedgerEntry.objects.filter(pk=entry.pk).update(amount=F("amount") + 1))
    assert_append_only(lambda: LedgerEntry.objects.bulk_update([entry], ["amount"]))
    for delete in (entry.delete, LedgerEntry.objects.all().delete):
        with pytest.raises(ProtectedError):
            delete()
    assert_append_only(lambda: LedgerEntry.objects.all()._raw_delete("default"))
    assert_append_only(
        lambda: execute_sql("UPDATE billing_ledgerentry SET note = 'nothing happened' WHERE id = %s", entry.pk)
    )
    assert_append_only(lambda: execute_sql("DELETE FROM billing_ledgerentry"))
    columns = ", ".join(COLUMNS)
    upsert = (
        f"INSERT INTO billing_ledgerentry ({columns}) SELECT {columns} FROM billing_ledgerentry WHERE true "
        "ON CONFLICT (id) DO UPDATE SET amount = 1000"
    )
    assert_append_only(lambda: execute_sql(upsert))
    assert list(LedgerEntry.objects.values_list("amount", "note")) == [(100, "for a test")]
    assert balance_and_entries(entry.account.user) == (100, [("grant", 100)])


@pytest.mark.postgres
def test_the_ledger_cannot_be_truncated(entry: LedgerEntry) -> None:
    connection.check_constraints()  # PostgreSQL refuses to truncate a table with pending constraint checks.
    assert_append_only(lambda: execute_sql("TRUNCATE billing_ledgerentry CASCADE"))
    assert_append_only(lambda: execute_sql("TRUNCATE billing_creditaccount CASCADE"))
    assert balance_and_entries(entry.account.user) == (100, [("grant", 100)])


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="only SQLite knows REPLACE")
def test_sqlite_cannot_replace_an_entry(entry: LedgerEntry) -> None:
    values = ", ".join("1000" if column == "amount" else column for column in COLUMNS)
    names = ", ".join(COLUMNS)
    assert_append_only(
        lambda: execute_sql(
            f"INSERT OR REPLACE INTO billing_ledgerentry ({names}) SELECT {values} FROM billing_ledgerentry"
        )
    )
    by_key = values.replace("id,", "id + 1,", 1)
    assert_append_only(
        lambda: execute_sql(f"REPLACE INTO billing_ledgerentry ({names}) SELECT {by_key} FROM billing_ledgerentry")
    )
    assert balance_and_entries(entry.account.user) == (100, [("grant", 100)])


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"amount": 0, "kind": "adjustment"}, "ledger_amount_not_zero"),
        ({"amount": 5, "kind": "charge"}, "ledger_sign_fits_kind"),
        ({"amount": -5, "kind": "grant"}, "ledger_sign_fits_kind"),
        ({"amount": 5, "kind": "refund"}, "ledger_refund_names_its_charge"),
        ({"amount": 5, "kind": "grant", "balance_after": 4}, "ledger_balance_after_fits"),
    ],
)
def test_the_database_refuses_invalid_entries(entry: LedgerEntry, fields: dict[str, object], rule: str) -> None:
    values = {"account": entry.account, "balance_after": 200, "idempotency_key": "odd", **fields}
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        LedgerEntry.objects.create(**values)
    assert balance_and_entries(entry.account.user) == (100, [("grant", 100)])


def test_a_balance_below_zero_cannot_be_stored(entry: LedgerEntry) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        CreditAccount.objects.update(balance=F("balance") - 101)
    assert balance_and_entries(entry.account.user) == (100, [("grant", 100)])


def test_the_database_allows_one_refund_per_charge(entry: LedgerEntry, alice: User) -> None:
    charge(alice)
    ledger.refund(charge_key="charge:1", idempotency_key="refund:1")
    refund = LedgerEntry.objects.get(idempotency_key="refund:1")
    with pytest.raises(IntegrityError), transaction.atomic():
        LedgerEntry.objects.create(
            account=refund.account,
            kind="refund",
            amount=60,
            balance_after=160,
            idempotency_key="r",
            reverses=refund.reverses,
        )
    assert balance_and_entries(alice) == (100, [("grant", 100), ("charge", -60), ("refund", 60)])


def test_f73_a_user_with_ledger_entries_cannot_be_deleted(entry: LedgerEntry) -> None:
    with pytest.raises(IntegrityError):
        entry.account.user.delete()
    assert balance_and_entries(entry.account.user) == (100, [("grant", 100)])

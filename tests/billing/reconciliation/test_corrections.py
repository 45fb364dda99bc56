"""Operators explain differences with correcting entries that are never changed."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.models import User
from billing.audit import runner as audit_runner
from billing.models import ProviderEntry
from billing.reconciliation import reconcile, top_ups
from tests.billing.conftest import without_history_protection
from tests.billing.reconciliation.helpers import (
    KEY,
    get_unexplained_alert,
    list_entries,
    reconcile_day,
    record_correction,
)
from tests.billing.simulated_provider import SimulatedProvider

pytestmark = pytest.mark.django_db


def test_a_correction_with_reason_and_actor_explains_a_difference(provider: SimulatedProvider, olga: User) -> None:
    provider.read_balance()
    provider.balance -= Decimal("12.5")
    provider.read_balance()
    top_ups.reconcile_accounts()
    entry = record_correction(provider, "-12.5", actor=olga)
    assert (entry.kind, entry.amount, entry.reason, entry.actor) == (
        "correction",
        Decimal("-12.5"),
        "Tried in the playground",
        olga,
    )
    result = reconcile_day(provider)
    assert (result.unexplained, result.corrections, result.track.unexplained) == (0, Decimal("-12.5"), Decimal("-12.5"))
    assert get_unexplained_alert().resolved_at is not None
    assert result.opening.balance + result.corrections == result.closing.balance


def test_a_difference_may_be_explained_in_parts(provider: SimulatedProvider, olga: User) -> None:
    provider.read_balance()
    provider.balance -= 100
    provider.read_balance()
    record_correction(provider, -40, actor=olga)
    assert reconcile_day(provider).unexplained == -60
    record_correction(provider, -60, actor=olga, key=str(uuid4()))
    assert reconcile_day(provider).unexplained == 0
    assert list_entries() == [("correction", -40), ("correction", -60)]


def test_a_form_sent_twice_writes_one_entry(provider: SimulatedProvider, olga: User) -> None:
    provider.read_balance()
    provider.balance -= 100
    provider.read_balance()
    first = record_correction(provider, -100, actor=olga)
    assert record_correction(provider, -100, actor=olga) == first
    with pytest.raises(reconcile.KeyReused):
        record_correction(provider, -10, actor=olga)
    assert list_entries() == [("correction", -100)]


@pytest.mark.parametrize(("amount", "reason"), [(0, "why"), (5, "  ")])
def test_a_correction_needs_an_amount_and_a_reason(
    provider: SimulatedProvider, olga: User, amount: int, reason: str
) -> None:
    provider.read_balance()
    provider.read_balance()
    with pytest.raises(ValueError, match="needs an amount and a reason"):
        record_correction(provider, amount, actor=olga, reason=reason)
    assert list_entries() == []


def test_a_correction_counts_in_every_range_that_shows_its_difference(provider: SimulatedProvider, olga: User) -> None:
    provider.read_balance()
    provider.balance -= 100
    missing_since = provider.read_balance().taken_at
    provider.read_balance(days=3)
    entry = reconcile.record_correction(
        account_id=provider.account.pk,
        amount=Decimal(-100),
        reason="Playground",
        actor=olga,
        idempotency_key=KEY,
        happened_at=reconcile_day(provider, provider.clock.at - timedelta(days=5)).correction_time,
    )
    assert entry.happened_at == missing_since
    assert reconcile_day(provider, provider.clock.at - timedelta(days=5)).unexplained == 0
    assert reconcile_day(provider).unexplained == 0, "and nowhere else"


def test_a_correction_without_a_difference_is_itself_unexplained(provider: SimulatedProvider, olga: User) -> None:
    provider.read_balance()
    provider.read_balance()
    record_correction(provider, 20, actor=olga)
    result = reconcile_day(provider)
    assert (result.unexplained, result.largest_jump, result.has_missing_credits) == (-20, None, True)
    top_ups.reconcile_accounts()
    assert get_unexplained_alert().detail == "20 provider credits are missing and no video explains them."


def test_the_database_refuses_to_change_or_remove_an_entry(provider: SimulatedProvider, olga: User) -> None:
    provider.read_balance()
    provider.balance -= 10
    provider.read_balance()
    entry = record_correction(provider, -10, actor=olga)
    connection.check_constraints()
    table = connection.ops.quote_name(ProviderEntry._meta.db_table)
    for statement in (
        f"UPDATE {table} SET amount = 1 WHERE id = {entry.pk}",
        f"DELETE FROM {table} WHERE id = {entry.pk}",
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    if connection.vendor == "sqlite":
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} WHERE id = {entry.pk}")
    else:
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {table}")
    assert list_entries() == [("correction", -10)]


def test_i2_missing_triggers_of_provider_entries_are_reported(db: None) -> None:
    names = {
        "postgresql": ["veoapp_provider_entry_no_change", "veoapp_provider_entry_no_truncate"],
        "sqlite": [f"veoapp_provider_entry_no_{operation}" for operation in ("update", "delete", "replace")],
    }[connection.vendor]
    on_table = " ON billing_providerentry" if connection.vendor == "postgresql" else ""
    for name in names:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER {name}{on_table}")
        assert ("I2", name) in {(problem.invariant, problem.reference) for problem in audit_runner.find_problems()}


def test_i22_a_correction_without_an_actor_is_reported(provider: SimulatedProvider, olga: User) -> None:
    provider.read_balance()
    provider.balance -= 10
    provider.read_balance()
    entry = record_correction(provider, -10, actor=olga)
    with without_history_protection():
        ProviderEntry.objects.update(actor=None)
    assert ("I22", f"provider entry {entry.pk}") in {
        (problem.invariant, problem.reference) for problem in audit_runner.find_problems()
    }


def test_rows_have_readable_names(provider: SimulatedProvider, olga: User) -> None:
    provider.read_balance()
    provider.balance -= 10
    provider.read_balance()
    assert str(record_correction(provider, "-10", actor=olga)) == "Correction -10"
    audit_runner.run_audit()
    run = audit_runner.get_last_run()
    assert run is not None
    assert str(run).endswith(": 0")

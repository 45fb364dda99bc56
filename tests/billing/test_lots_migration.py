"""What accounts held before there were lots becomes one lot of each."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from accounts.models import User
from billing import books, ledger
from billing.models import CreditLot, LotUse
from tests.people import give_credits

pytestmark = pytest.mark.django_db


def test_each_account_with_a_balance_gets_one_lot_without_an_end_and_once(alice: User, bob: User, olga: User) -> None:
    give_credits(alice, 70)
    give_credits(alice, 30)
    ledger.charge(user=alice, user_credits=45, idempotency_key="c", reference="job:1")
    give_credits(bob, 5)
    ledger.charge(user=bob, user_credits=5, idempotency_key="d", reference="job:2")
    give_credits(olga, 8)
    LotUse.objects.all().delete()
    CreditLot.objects.all().delete()
    migration = import_module("billing.migrations.0009_lots_of_old_balances")
    for _ in range(2):
        migration.forwards(apps, connection.schema_editor())
    assert list(CreditLot.objects.order_by("granted").values_list("account__user", "granted", "remaining")) == [
        (olga.pk, 8, 8), (alice.pk, 55, 55)
    ]  # fmt: skip
    assert set(CreditLot.objects.values_list("entry", "expires_at", "is_grace")) == {(None, None, False)}
    assert {problem for problem in books.check() if problem.invariant == "I1"} == set()
    assert [ledger.balance_of(user) for user in (alice, bob, olga)] == [55, 0, 8]

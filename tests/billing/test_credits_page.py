"""The statement: what came, what went, and what was left."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from billing import ledger, statements
from tests.billing import history
from tests.people import give_credits

pytestmark = pytest.mark.django_db
PAGE = "/credits/"


@pytest.fixture
def purse(alice: User) -> Client:
    """Alice's browser."""
    client = Client()
    client.force_login(alice)
    return client


def amounts(purse: Client, **query: Any) -> list[int]:
    """The amounts that the page shows, from its top."""
    return [entry.amount for entry in purse.get(PAGE, query).context["entries"]]


def test_a_stranger_is_led_to_the_door(client: Client, db: None) -> None:
    assert client.get(PAGE)["Location"].startswith("/accounts/login/")


def test_the_statement_shows_balance_and_movements_of_nobody_else(purse: Client, alice: User, bob: User) -> None:
    give_credits(bob, 7)
    history.cancelled(alice)
    answer = purse.get(PAGE)
    assert answer.context["balance"] == ledger.balance_of(alice) == 60
    assert amounts(purse) == [60, -60, 60]
    assert "a kite" in answer.text


@pytest.mark.parametrize(
    ("kind", "shown"),
    [("videos", [-60]), ("refunds", [60]), ("received", [60]), ("other", [-5]), ("expired", []), ("nonsense", [-5, 60, -60, 60])],
)
def test_it_is_narrowed_down_by_kind(purse: Client, alice: User, kind: str, shown: list[int]) -> None:
    history.cancelled(alice)
    ledger.adjust(user=alice, user_credits=-5, idempotency_key="a", note="counted twice", actor=None)
    assert amounts(purse, kind=kind) == shown
    assert ledger.balance_of(alice) == 55


def test_a_long_statement_has_pages(purse: Client, alice: User) -> None:
    for n in range(statements.PAGE + 2):
        ledger.grant(user=alice, user_credits=n + 1, idempotency_key=f"g{n}", note="for a test")
    first = purse.get(PAGE)
    assert [entry.amount for entry in first.context["entries"]] == list(range(statements.PAGE + 2, 2, -1))
    second = purse.get(f"{PAGE}?{first.context['older']}")
    assert [entry.amount for entry in second.context["entries"]] == [2, 1]
    assert second.context["older"] is None
    assert len(amounts(purse, before="x")) == len(amounts(purse, before=10**30)) == statements.PAGE

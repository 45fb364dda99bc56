"""Users in the admin: their balance, and credits given and removed."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts import user_actions
from accounts.models import User
from billing.credits import ledger
from billing.models import (
    LedgerEntry,
)
from tests.billing.admin.pages import (
    LEDGER,
    USERS,
    change_credits,
    list_cells,
    list_log_messages,
    run_action,
)
from tests.people import give_credits

pytestmark = pytest.mark.django_db


def test_users_are_listed_with_their_balance(staff: Client, alice: User, bob: User) -> None:
    give_credits(alice, 70)
    text = staff.get(USERS, {"o": "-3"}).text
    assert list_cells(text, "balance")[0] == "70"
    assert set(list_cells(text, "balance")[1:]) == {"0"}
    page = staff.get(f"{USERS}{alice.pk}/change/").text
    assert "1 entry" in page
    assert f"{LEDGER}?account__user={alice.pk}" in page
    assert 'value="move_credits"' in page


def test_credits_are_granted_after_confirmation_with_a_reason(staff: Client, alice: User, olga: User) -> None:
    confirmation = run_action(staff, USERS, "move_credits", alice)
    assert "alice@example.com" in confirmation
    assert ledger.balance_of(alice) == 0
    key = re.search(r'name="key" value="([0-9a-f-]{36})"', confirmation)
    assert key
    text = change_credits(staff, alice, key=key[1])
    assert "+100 credits for alice@example.com: the balance is 100 now." in text
    entry = ledger.statement(alice).get()
    assert (entry.kind, entry.amount, entry.note, entry.actor) == ("grant", 100, "A gift", olga)
    assert ledger.balance_of(alice) == 100
    assert list_log_messages() == ["+100 credits: A gift"]


def test_a_form_sent_twice_changes_credits_once(staff: Client, alice: User) -> None:
    change_credits(staff, alice)
    assert "nothing was changed, the balance is 100." in change_credits(staff, alice)
    assert ledger.balance_of(alice) == 100
    assert [entry.amount for entry in ledger.statement(alice)] == [100]
    assert len(list_log_messages()) == 1


def test_a_form_sent_again_with_another_amount_is_refused(staff: Client, alice: User) -> None:
    change_credits(staff, alice)
    assert "This form was already used" in change_credits(staff, alice, amount=1000)
    assert ledger.balance_of(alice) == 100
    assert [entry.amount for entry in ledger.statement(alice)] == [100]


def test_credits_are_removed_by_an_adjustment(staff: Client, alice: User, olga: User) -> None:
    give_credits(alice, 100)
    assert "−30 credits for alice@example.com: the balance is 70 now." in change_credits(
        staff, alice, amount=-30, reason="Counted twice"
    )
    assert ledger.balance_of(alice) == 70
    entry = ledger.statement(alice).latest("id")
    assert (entry.kind, entry.amount, entry.note, entry.actor) == ("adjustment", -30, "Counted twice", olga)


def test_for_several_users_all_change_or_none(staff: Client, alice: User, bob: User) -> None:
    give_credits(alice, 100)
    give_credits(bob, 10)
    assert "only 10 credits; nothing was changed" in change_credits(staff, alice, bob, amount=-50)
    assert (ledger.balance_of(alice), ledger.balance_of(bob)) == (100, 10)
    change_credits(staff, alice, bob, amount=5)
    assert (ledger.balance_of(alice), ledger.balance_of(bob)) == (105, 15)
    assert LedgerEntry.objects.count() == 4


@pytest.mark.parametrize(
    "invalid", [{"amount": 0}, {"amount": ""}, {"amount": "1e3"}, {"amount": 10**10}, {"reason": " "}, {"key": "x"}]
)
def test_an_invalid_form_is_shown_again(staff: Client, alice: User, invalid: dict[str, Any]) -> None:
    text = change_credits(staff, alice, **invalid)
    assert "errorlist" in text or "alice@example.com" in text
    assert ledger.balance_of(alice) == 0
    assert not LedgerEntry.objects.exists()


def test_a_closed_account_receives_no_credits(staff: Client, alice: User) -> None:
    user_actions.close_account(user=alice, actor=None)
    assert "Choose 1 to 200 users" in change_credits(staff, alice)
    assert 'value="move_credits"' not in staff.get(f"{USERS}{alice.pk}/change/").text
    assert not LedgerEntry.objects.exists()
    assert ledger.balance_of(alice) == 0


def test_a_viewer_cannot_change_credits(clerk: Callable[..., Client], alice: User) -> None:
    staff = clerk("view_user", "change_user", "view_ledgerentry")
    assert "Give or remove credits" not in staff.get(USERS).text
    assert "Give or remove credits" not in staff.get(f"{USERS}{alice.pk}/change/").text
    change_credits(staff, alice)
    assert ledger.balance_of(alice) == 0
    assert not LedgerEntry.objects.exists()

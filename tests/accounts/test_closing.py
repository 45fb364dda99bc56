"""F73: an account is closed. The person goes, the books stay."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models import ProtectedError
from django.test import Client

from accounts import user_actions
from accounts.models import User
from accounts.seams import clock
from accounts.signals import account_closing
from billing.credits import ledger
from tests.accounts import doorway
from tests.people import give_credits

pytestmark = pytest.mark.django_db


@pytest.fixture
def closing() -> Iterator[list[dict[str, Any]]]:
    """What other apps hear while an account closes."""
    heard: list[dict[str, Any]] = []

    def listen(**kwargs: Any) -> None:
        heard.append({**kwargs, "email_then": kwargs["user"].email})

    account_closing.connect(listen, weak=False)
    yield heard
    account_closing.disconnect(listen)


def test_f73_a_person_closes_their_account_and_nothing_names_them(client: Client, alice: User) -> None:
    alice.language, alice.time_zone = "zh-hans", "Asia/Shanghai"
    alice.save()
    doorway.sign_in(client, alice.email)
    assert doorway.prove(client, "/settings/delete/").status_code == 200
    answer = client.post("/settings/delete/", {"understood": "on"})
    assert answer["Location"] == "/settings/closed/"

    alice.refresh_from_db()
    assert doorway.names(alice) == f"deleted-{alice.pk}@deleted.invalid   "
    assert not alice.is_active
    assert not alice.has_usable_password()
    assert alice.anonymised_at is not None
    assert alice.last_login is None
    assert not EmailAddress.objects.filter(user=alice).exists()
    assert client.get("/settings/closed/").status_code == 200


def test_f73_sessions_everywhere_end(client: Client, alice: User) -> None:
    elsewhere, unlisted = Client(), Client()
    for browser in (client, elsewhere, unlisted):
        doorway.sign_in(browser, alice.email)
    # A session that no list knows of dies by the password that is no more.
    UserSession.objects.filter(session_key=unlisted.session.session_key).delete()
    user_actions.close_account(user=alice, actor=None)
    assert [doorway.is_signed_in(browser) for browser in (client, elsewhere, unlisted)] == [False] * 3
    assert not UserSession.objects.filter(user=alice).exists()
    assert Session.objects.count() <= 1
    assert "is wrong" in doorway.sign_in(Client(), "alice@example.com").text


def test_f73_the_ledger_stays_and_holds_its_owner(alice: User) -> None:
    give_credits(alice, 100)
    before = list(ledger.statement(alice).values_list("pk", "amount", "balance_after"))
    user_actions.close_account(user=alice, actor=None)
    assert list(ledger.statement(alice).values_list("pk", "amount", "balance_after")) == before
    assert len(before) == 1
    with pytest.raises(ProtectedError):
        alice.delete()


def test_f73_others_hear_of_it_before_the_person_is_anonymised_and_in_the_same_transaction(
    alice: User, olga: User, closing: list[dict[str, Any]]
) -> None:
    user_actions.close_account(user=alice, actor=olga)
    [heard] = closing
    assert heard["user"].pk == alice.pk
    assert heard["actor"] == olga
    assert heard["email_then"] == "alice@example.com"


def test_f73_when_somebody_cannot_let_go_nothing_is_closed(alice: User) -> None:
    def refuse(**kwargs: Any) -> None:
        raise RuntimeError("a video is in the middle of something")

    account_closing.connect(refuse, weak=False)
    try:
        with pytest.raises(RuntimeError):
            user_actions.close_account(user=alice, actor=None)
    finally:
        account_closing.disconnect(refuse)
    alice.refresh_from_db()
    assert alice.is_active
    assert alice.email == "alice@example.com"


def test_f73_closing_twice_changes_nothing(alice: User, closing: list[dict[str, Any]]) -> None:
    first = user_actions.close_account(user=alice, actor=None)
    again = user_actions.close_account(user=alice, actor=None)
    assert again.anonymised_at == first.anonymised_at
    assert len(closing) == 1


def test_an_operator_who_leaves_takes_no_rights_along(olga: User) -> None:
    closed = user_actions.close_account(user=olga, actor=None)
    assert not closed.is_staff
    assert not closed.is_superuser
    assert not Authenticator.objects.filter(user=olga).exists()


def test_a_closed_account_is_not_opened_again(alice: User) -> None:
    user_actions.close_account(user=alice, actor=None)
    assert not user_actions.enable(user=alice, actor=None).is_active


def test_the_address_is_free_for_a_new_account(client: Client, alice: User) -> None:
    user_actions.close_account(user=alice, actor=None)
    doorway.sign_up(client, "alice@example.com")
    doorway.enter(client, doorway.code_in(doorway.last_mail()))
    assert User.objects.get(email="alice@example.com").pk != alice.pk


def test_closing_asks_for_the_password_and_again_when_that_was_long_ago(client: Client, alice: User) -> None:
    doorway.sign_in(client, alice.email)
    doorway.prove(client, "/settings/delete/")
    with time_machine.travel(clock.now() + timedelta(minutes=10), tick=False):
        answer = client.post("/settings/delete/", {"understood": "on"})
        assert answer["Location"].startswith("/accounts/reauthenticate/?next=")
        alice.refresh_from_db()
        assert alice.is_active
        page = client.get("/settings/delete/")
        client.post(page["Location"], {"password": "wrong", "next": "/settings/delete/"})
        alice.refresh_from_db()
        assert alice.is_active


def test_closing_needs_the_tick(client: Client, alice: User) -> None:
    doorway.sign_in(client, alice.email)
    doorway.prove(client, "/settings/delete/")
    assert client.post("/settings/delete/", {}).status_code == 200
    alice.refresh_from_db()
    assert alice.is_active


def test_the_page_says_what_happens(client: Client, alice: User) -> None:
    doorway.sign_in(client, alice.email)
    text = doorway.prove(client, "/settings/delete/").text
    for said in ("all your files", "Your credits are lost", "are kept, without your name"):
        assert said in text

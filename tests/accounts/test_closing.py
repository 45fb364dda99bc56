"""F73: closing an account erases the user's personal data and keeps the ledger."""

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
from tests.accounts import steps
from tests.people import give_credits

pytestmark = pytest.mark.django_db


@pytest.fixture
def signals() -> Iterator[list[dict[str, Any]]]:
    """Every `account_closing` that was sent, with the address at that time."""
    received: list[dict[str, Any]] = []

    def receive(**kwargs: Any) -> None:
        received.append({**kwargs, "email_at_signal": kwargs["user"].email})

    account_closing.connect(receive, weak=False)
    yield received
    account_closing.disconnect(receive)


def test_f73_closing_an_account_erases_the_personal_data(client: Client, alice: User) -> None:
    alice.language, alice.time_zone = "zh-hans", "Asia/Shanghai"
    alice.save()
    steps.sign_in(client, alice.email)
    assert steps.reauthenticate(client, "/settings/delete/").status_code == 200
    response = client.post("/settings/delete/", {"understood": "on"})
    assert response["Location"] == "/settings/closed/"

    alice.refresh_from_db()
    assert steps.list_personal_data(alice) == f"deleted-{alice.pk}@deleted.invalid   "
    assert not alice.is_active
    assert not alice.has_usable_password()
    assert alice.anonymised_at is not None
    assert alice.last_login is None
    assert not EmailAddress.objects.filter(user=alice).exists()
    assert client.get("/settings/closed/").status_code == 200


def test_f73_closing_ends_every_session(client: Client, alice: User) -> None:
    other_browser, unlisted_browser = Client(), Client()
    for browser in (client, other_browser, unlisted_browser):
        steps.sign_in(browser, alice.email)
    # A session that is not in the list ends because the password hash changes.
    UserSession.objects.filter(session_key=unlisted_browser.session.session_key).delete()
    user_actions.close_account(user=alice, actor=None)
    assert [steps.is_signed_in(browser) for browser in (client, other_browser, unlisted_browser)] == [False] * 3
    assert not UserSession.objects.filter(user=alice).exists()
    assert Session.objects.count() <= 1
    assert "is wrong" in steps.sign_in(Client(), "alice@example.com").text


def test_f73_the_ledger_stays_and_its_owner_cannot_be_deleted(alice: User) -> None:
    give_credits(alice, 100)
    entries = list(ledger.statement(alice).values_list("pk", "amount", "balance_after"))
    user_actions.close_account(user=alice, actor=None)
    assert list(ledger.statement(alice).values_list("pk", "amount", "balance_after")) == entries
    assert len(entries) == 1
    with pytest.raises(ProtectedError):
        alice.delete()


def test_f73_the_signal_is_sent_before_the_user_is_anonymised(
    alice: User, olga: User, signals: list[dict[str, Any]]
) -> None:
    user_actions.close_account(user=alice, actor=olga)
    [signal] = signals
    assert signal["user"].pk == alice.pk
    assert signal["actor"] == olga
    assert signal["email_at_signal"] == "alice@example.com"


def test_f73_an_exception_in_a_receiver_keeps_the_account_open(alice: User) -> None:
    def refuse(**kwargs: Any) -> None:
        raise RuntimeError("a video is being sent")

    account_closing.connect(refuse, weak=False)
    try:
        with pytest.raises(RuntimeError):
            user_actions.close_account(user=alice, actor=None)
    finally:
        account_closing.disconnect(refuse)
    alice.refresh_from_db()
    assert alice.is_active
    assert alice.email == "alice@example.com"


def test_f73_closing_twice_changes_nothing(alice: User, signals: list[dict[str, Any]]) -> None:
    first = user_actions.close_account(user=alice, actor=None)
    second = user_actions.close_account(user=alice, actor=None)
    assert second.anonymised_at == first.anonymised_at
    assert len(signals) == 1


def test_closing_an_operator_s_account_removes_their_rights(olga: User) -> None:
    closed = user_actions.close_account(user=olga, actor=None)
    assert not closed.is_staff
    assert not closed.is_superuser
    assert not Authenticator.objects.filter(user=olga).exists()


def test_a_closed_account_cannot_be_enabled(alice: User) -> None:
    user_actions.close_account(user=alice, actor=None)
    assert not user_actions.enable(user=alice, actor=None).is_active


def test_the_address_can_be_used_for_a_new_account(client: Client, alice: User) -> None:
    user_actions.close_account(user=alice, actor=None)
    steps.sign_up(client, "alice@example.com")
    steps.enter_code(client, steps.find_code(steps.last_mail()))
    assert User.objects.get(email="alice@example.com").pk != alice.pk


def test_closing_asks_for_the_password_again_after_ten_minutes(client: Client, alice: User) -> None:
    steps.sign_in(client, alice.email)
    steps.reauthenticate(client, "/settings/delete/")
    with time_machine.travel(clock.now() + timedelta(minutes=10), tick=False):
        response = client.post("/settings/delete/", {"understood": "on"})
        assert response["Location"].startswith("/accounts/reauthenticate/?next=")
        alice.refresh_from_db()
        assert alice.is_active
        page = client.get("/settings/delete/")
        client.post(page["Location"], {"password": "wrong", "next": "/settings/delete/"})
        alice.refresh_from_db()
        assert alice.is_active


def test_closing_requires_the_confirmation_box(client: Client, alice: User) -> None:
    steps.sign_in(client, alice.email)
    steps.reauthenticate(client, "/settings/delete/")
    assert client.post("/settings/delete/", {}).status_code == 200
    alice.refresh_from_db()
    assert alice.is_active


def test_the_page_explains_the_consequences(client: Client, alice: User) -> None:
    steps.sign_in(client, alice.email)
    text = steps.reauthenticate(client, "/settings/delete/").text
    for phrase in ("all your files", "Your credits are lost", "are kept, without your name"):
        assert phrase in text

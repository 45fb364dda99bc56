"""From an address to an account: the form, the mail over a real mail server, the code."""

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.account.internal.flows import manage_email
from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed
from django.core import mail
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from tests.accounts import doorway
from tests.mail import Mailbox
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture
def post_office(smtp_server: Mailbox, settings: Settings) -> Mailbox:
    """Mails of this test leave by SMTP."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", smtp_server.port
    return smtp_server


@pytest.fixture
def confirmed() -> Iterator[list[dict[str, Any]]]:
    """Every `email_confirmed` that was sent: what billing grants the first credits on."""
    heard: list[dict[str, Any]] = []

    def listen(**kwargs: Any) -> None:
        heard.append(kwargs)

    email_confirmed.connect(listen, weak=False)
    yield heard
    email_confirmed.disconnect(listen)


def test_a_person_signs_up_with_the_code_from_the_mail_and_is_signed_in(client: Client, post_office: Mailbox) -> None:
    answer = doorway.sign_up(client, "Ada@Example.com")
    assert answer.status_code == 302
    assert not doorway.is_signed_in(client)

    [message] = post_office.messages
    assert message["To"] == "ada@example.com"
    code = doorway.code_in(message)
    assert message["Subject"] == f"{code} is your veoapp code"
    assert code in doorway.page_of(message)

    answer = doorway.enter(client, code)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert doorway.is_signed_in(client)
    user = User.objects.get(email="ada@example.com")
    assert EmailAddress.objects.get(user=user).verified


def test_the_account_works_from_another_browser_afterwards(client: Client) -> None:
    doorway.sign_up(client, "ada@example.com")
    doorway.enter(client, doorway.code_in(doorway.last_mail()))

    other = Client()
    assert doorway.sign_in(other, "ADA@example.com").status_code == 302
    assert doorway.is_signed_in(other)


def test_confirming_is_told_once_with_a_verified_address(client: Client, confirmed: list[dict[str, Any]]) -> None:
    doorway.sign_up(client, "ada@example.com")
    assert confirmed == []
    code = doorway.code_in(doorway.last_mail())
    doorway.enter(client, code)
    doorway.enter(client, code)
    [heard] = confirmed
    assert heard["email_address"].verified
    assert heard["email_address"].user.email == "ada@example.com"


def test_if_what_hangs_on_the_confirmation_fails_the_address_is_not_confirmed_either(client: Client) -> None:
    def refuse(**kwargs: Any) -> None:
        raise RuntimeError("the ledger is away")

    doorway.sign_up(client, "ada@example.com")
    email_confirmed.connect(refuse, weak=False)
    try:
        with pytest.raises(RuntimeError):
            doorway.enter(client, doorway.code_in(doorway.last_mail()))
    finally:
        email_confirmed.disconnect(refuse)
    assert not EmailAddress.objects.get(email="ada@example.com").verified


def test_a_wrong_code_is_refused_in_words_and_three_end_the_attempt(client: Client) -> None:
    doorway.sign_up(client, "ada@example.com")
    code = doorway.code_in(doorway.last_mail())
    answer = doorway.enter(client, "BBBB-BBBB")
    assert "This code is wrong" in answer.text
    doorway.enter(client, "CCCC-CCCC")
    doorway.enter(client, "DDDD-DDDD")
    doorway.enter(client, code)
    assert not doorway.is_signed_in(client)
    assert not EmailAddress.objects.filter(verified=True).exists()


def test_the_code_may_be_typed_in_small_letters_and_without_the_dash(client: Client) -> None:
    doorway.sign_up(client, "ada@example.com")
    doorway.enter(client, doorway.code_in(doorway.last_mail()).replace("-", " ").lower())
    assert doorway.is_signed_in(client)


def test_who_closed_the_browser_before_the_code_signs_in_and_gets_another(client: Client, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"confirm_email": None}
    doorway.sign_up(client, "ada@example.com")
    later = Client()
    answer = doorway.sign_in(later, "ada@example.com")
    assert answer["Location"] == "/accounts/confirm-email/"
    assert len(mail.outbox) == 2
    doorway.enter(later, doorway.code_in(doorway.last_mail()))
    assert doorway.is_signed_in(later)


def test_a_new_code_replaces_the_old_one(client: Client, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"confirm_email": None}
    doorway.sign_up(client, "ada@example.com")
    old = doorway.code_in(doorway.last_mail())
    client.post("/accounts/confirm-email/", {"action": "resend"})
    new = doorway.code_in(doorway.last_mail())
    assert new != old
    assert "This code is wrong" in doorway.enter(client, old).text
    doorway.enter(client, new)
    assert doorway.is_signed_in(client)


def test_asking_for_codes_without_pause_is_refused(client: Client) -> None:
    doorway.sign_up(client, "ada@example.com")
    for _ in range(2):
        client.post("/accounts/confirm-email/", {"action": "resend"})
    assert len(mail.outbox) == 1


def test_two_forms_for_one_address_at_once_make_one_account_and_no_error(
    client: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both looked before either wrote: the form of the second still believes that the address is free.
    monkeypatch.setattr(manage_email, "email_already_exists", lambda email: (email, False))
    answer = doorway.sign_up(client, alice.email)
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/confirm-email/")
    assert User.objects.count() == 1
    assert "already" in doorway.last_mail().subject


def test_a_weak_password_is_refused_and_the_address_stays_typed(client: Client) -> None:
    answer = doorway.sign_up(client, "ada@example.com", "12345678")
    assert answer.status_code == 200
    assert "too common" in answer.text
    assert "ada@example.com" in answer.text
    assert not User.objects.exists()


def test_a_person_keeps_the_language_they_signed_up_in(client: Client) -> None:
    doorway.sign_up(client, "ada@example.com", **{"Accept-Language": "zh-CN"})
    assert User.objects.get().language == "zh-hans"


def test_the_page_says_so_when_the_mail_server_is_away(client: Client, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    answer = doorway.sign_up(client, "ada@example.com")
    assert answer.status_code == 302
    assert "We could not send the e-mail" in client.get("/accounts/confirm-email/").text
    assert User.objects.filter(email="ada@example.com").exists()


class TestNobodyLearnsWhoHasAnAccount:
    """6.3.8: every answer to a stranger is the same for an address that is known and one that is not."""

    def test_signing_up(self, alice: User) -> None:
        pages = []
        for email in ("alice@example.com", "other@example.com"):
            browser = Client()
            first = doorway.sign_up(browser, email)
            page = browser.get(first["Location"])
            wrong = doorway.enter(browser, "BBBB-BBBB")
            pages.append(
                [
                    first.status_code,
                    first["Location"],
                    *(without_marks(text, email) for text in (page.text, wrong.text)),
                ]
            )
        assert pages[0] == pages[1]
        assert User.objects.filter(email="alice@example.com").get().check_password(PASSWORD)

        to_alice, to_other = mail.outbox
        assert "already" in to_alice.subject
        assert not doorway.CODE.search(str(to_alice.body))
        assert doorway.CODE.search(str(to_other.body))

    def test_resetting_a_password(self, alice: User) -> None:
        pages = []
        for email in ("alice@example.com", "other@example.com"):
            browser = Client()
            first = browser.post("/accounts/password/reset/", {"email": email})
            page = browser.get(first["Location"])
            wrong = doorway.enter(browser, "BBBB-BBBB", first["Location"])
            pages.append(
                [
                    first.status_code,
                    first["Location"],
                    *(without_marks(text, email) for text in (page.text, wrong.text)),
                ]
            )
        assert pages[0] == pages[1]
        to_alice, to_other = mail.outbox
        assert doorway.CODE.search(str(to_alice.body))
        assert "There is no veoapp account" in to_other.subject

    def test_signing_in(self, alice: User) -> None:
        pages = [
            without_marks(doorway.sign_in(Client(), email, "wrong password").text, email)
            for email in ("alice@example.com", "other@example.com")
        ]
        assert pages[0] == pages[1]


def without_marks(text: str, email: str) -> str:
    """A page without what differs on every load."""
    lines = [line for line in text.splitlines() if "csrfmiddlewaretoken" not in line]
    return "\n".join(lines).replace(email, "ADDRESS")

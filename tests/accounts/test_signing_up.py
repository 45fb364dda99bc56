"""Signing up: the form, the e-mail over a real SMTP server, the code."""

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
from tests.accounts import steps
from tests.mail import Mailbox
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture
def mailbox(smtp_server: Mailbox, settings: Settings) -> Mailbox:
    """Receives the e-mails of this test by SMTP."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", smtp_server.port
    return smtp_server


@pytest.fixture
def signals() -> Iterator[list[dict[str, Any]]]:
    """Every `email_confirmed` that was sent; billing grants the sign-up credits on it."""
    received: list[dict[str, Any]] = []

    def receive(**kwargs: Any) -> None:
        received.append(kwargs)

    email_confirmed.connect(receive, weak=False)
    yield received
    email_confirmed.disconnect(receive)


def test_the_code_from_the_mail_confirms_the_address_and_signs_in(client: Client, mailbox: Mailbox) -> None:
    response = steps.sign_up(client, "Ada@Example.com")
    assert response.status_code == 302
    assert not steps.is_signed_in(client)

    [message] = mailbox.messages
    assert message["To"] == "ada@example.com"
    code = steps.find_code(message)
    assert message["Subject"] == f"{code} is your veoapp code"
    assert code in steps.get_html(message)

    response = steps.enter_code(client, code)
    assert (response.status_code, response["Location"]) == (302, "/")
    assert steps.is_signed_in(client)
    user = User.objects.get(email="ada@example.com")
    assert EmailAddress.objects.get(user=user).verified


def test_the_account_works_from_another_browser_afterwards(client: Client) -> None:
    steps.sign_up(client, "ada@example.com")
    steps.enter_code(client, steps.find_code(steps.last_mail()))

    other_browser = Client()
    assert steps.sign_in(other_browser, "ADA@example.com").status_code == 302
    assert steps.is_signed_in(other_browser)


def test_the_confirmation_signal_is_sent_once_with_a_verified_address(
    client: Client, signals: list[dict[str, Any]]
) -> None:
    steps.sign_up(client, "ada@example.com")
    assert signals == []
    code = steps.find_code(steps.last_mail())
    steps.enter_code(client, code)
    steps.enter_code(client, code)
    [signal] = signals
    assert signal["email_address"].verified
    assert signal["email_address"].user.email == "ada@example.com"


def test_an_exception_in_a_receiver_leaves_the_address_unconfirmed(client: Client) -> None:
    def refuse(**kwargs: Any) -> None:
        raise RuntimeError("the ledger is unavailable")

    steps.sign_up(client, "ada@example.com")
    email_confirmed.connect(refuse, weak=False)
    try:
        with pytest.raises(RuntimeError):
            steps.enter_code(client, steps.find_code(steps.last_mail()))
    finally:
        email_confirmed.disconnect(refuse)
    assert not EmailAddress.objects.get(email="ada@example.com").verified


def test_three_wrong_codes_end_the_sign_up(client: Client) -> None:
    steps.sign_up(client, "ada@example.com")
    code = steps.find_code(steps.last_mail())
    response = steps.enter_code(client, "BBBB-BBBB")
    assert "This code is wrong" in response.text
    steps.enter_code(client, "CCCC-CCCC")
    steps.enter_code(client, "DDDD-DDDD")
    steps.enter_code(client, code)
    assert not steps.is_signed_in(client)
    assert not EmailAddress.objects.filter(verified=True).exists()


def test_the_code_may_be_typed_in_lower_case_and_without_the_dash(client: Client) -> None:
    steps.sign_up(client, "ada@example.com")
    steps.enter_code(client, steps.find_code(steps.last_mail()).replace("-", " ").lower())
    assert steps.is_signed_in(client)


def test_signing_in_before_confirming_sends_another_code(client: Client, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"confirm_email": None}
    steps.sign_up(client, "ada@example.com")
    other_browser = Client()
    response = steps.sign_in(other_browser, "ada@example.com")
    assert response["Location"] == "/accounts/confirm-email/"
    assert len(mail.outbox) == 2
    steps.enter_code(other_browser, steps.find_code(steps.last_mail()))
    assert steps.is_signed_in(other_browser)


def test_a_new_code_replaces_the_old_one(client: Client, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"confirm_email": None}
    steps.sign_up(client, "ada@example.com")
    old_code = steps.find_code(steps.last_mail())
    client.post("/accounts/confirm-email/", {"action": "resend"})
    new_code = steps.find_code(steps.last_mail())
    assert new_code != old_code
    assert "This code is wrong" in steps.enter_code(client, old_code).text
    steps.enter_code(client, new_code)
    assert steps.is_signed_in(client)


def test_repeated_requests_for_codes_are_refused(client: Client) -> None:
    steps.sign_up(client, "ada@example.com")
    for _ in range(2):
        client.post("/accounts/confirm-email/", {"action": "resend"})
    assert len(mail.outbox) == 1


def test_two_simultaneous_sign_ups_with_one_address_create_one_account(
    client: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Simulates that both forms were validated before either was saved.
    monkeypatch.setattr(manage_email, "email_already_exists", lambda email: (email, False))
    response = steps.sign_up(client, alice.email)
    assert (response.status_code, response["Location"]) == (302, "/accounts/confirm-email/")
    assert User.objects.count() == 1
    assert "already" in steps.last_mail().subject


def test_a_weak_password_is_refused_and_the_address_stays_in_the_form(client: Client) -> None:
    response = steps.sign_up(client, "ada@example.com", "12345678")
    assert response.status_code == 200
    assert "too common" in response.text
    assert "ada@example.com" in response.text
    assert not User.objects.exists()


def test_a_user_keeps_the_language_they_signed_up_in(client: Client) -> None:
    steps.sign_up(client, "ada@example.com", **{"Accept-Language": "zh-CN"})
    assert User.objects.get().language == "zh-hans"


def test_the_page_shows_a_message_when_the_mail_server_fails(client: Client, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    response = steps.sign_up(client, "ada@example.com")
    assert response.status_code == 302
    assert "We could not send the e-mail" in client.get("/accounts/confirm-email/").text
    assert User.objects.filter(email="ada@example.com").exists()


class TestAccountEnumeration:
    """OWASP ASVS 6.3.8: every response is the same for a known and an unknown address."""

    def test_signing_up(self, alice: User) -> None:
        pages = []
        for email in ("alice@example.com", "other@example.com"):
            browser = Client()
            form_response = steps.sign_up(browser, email)
            page = browser.get(form_response["Location"])
            wrong_code_response = steps.enter_code(browser, "BBBB-BBBB")
            pages.append(
                [
                    form_response.status_code,
                    form_response["Location"],
                    *(normalize_page(text, email) for text in (page.text, wrong_code_response.text)),
                ]
            )
        assert pages[0] == pages[1]
        assert User.objects.filter(email="alice@example.com").get().check_password(PASSWORD)

        alice_message, other_message = mail.outbox
        assert "already" in alice_message.subject
        assert not steps.CODE.search(str(alice_message.body))
        assert steps.CODE.search(str(other_message.body))

    def test_resetting_a_password(self, alice: User) -> None:
        pages = []
        for email in ("alice@example.com", "other@example.com"):
            browser = Client()
            form_response = browser.post("/accounts/password/reset/", {"email": email})
            page = browser.get(form_response["Location"])
            wrong_code_response = steps.enter_code(browser, "BBBB-BBBB", form_response["Location"])
            pages.append(
                [
                    form_response.status_code,
                    form_response["Location"],
                    *(normalize_page(text, email) for text in (page.text, wrong_code_response.text)),
                ]
            )
        assert pages[0] == pages[1]
        alice_message, other_message = mail.outbox
        assert steps.CODE.search(str(alice_message.body))
        assert "There is no veoapp account" in other_message.subject

    def test_signing_in(self, alice: User) -> None:
        pages = [
            normalize_page(steps.sign_in(Client(), email, "wrong password").text, email)
            for email in ("alice@example.com", "other@example.com")
        ]
        assert pages[0] == pages[1]


def normalize_page(text: str, email: str) -> str:
    """The page without the CSRF token and the address."""
    lines = [line for line in text.splitlines() if "csrfmiddlewaretoken" not in line]
    return "\n".join(lines).replace(email, "ADDRESS")

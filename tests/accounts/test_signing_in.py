"""Passwords, sessions and rate limits of signing in."""

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.test import Client
from pytest_django.fixtures import Settings

from accounts import user_actions
from accounts.models import User
from tests.accounts import steps
from tests.mail import Mailbox
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db


def test_signing_in_returns_to_the_requested_page(client: Client, alice: User) -> None:
    redirect = client.get("/settings/")
    response = steps.sign_in(client, alice.email, path=redirect["Location"])
    assert (response.status_code, response["Location"]) == (302, "/settings/")


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_signing_in_does_not_redirect_to_another_site(client: Client, alice: User, target: str) -> None:
    response = client.post("/accounts/login/", {"login": alice.email, "password": PASSWORD, "next": target})
    assert (response.status_code, response["Location"]) == (302, "/")


def test_after_five_wrong_passwords_even_the_right_one_is_refused(client: Client, alice: User) -> None:
    for _ in range(5):
        assert "is wrong" in steps.sign_in(client, alice.email, "wrong").text
    # The limit is for the account, so it also applies to another client address.
    response = steps.sign_in(Client(REMOTE_ADDR="192.0.2.7"), alice.email)
    assert "Too many attempts" in response.text
    assert not steps.is_signed_in(client)


class CountingHasher(MD5PasswordHasher):
    """Counts how often a password is hashed, the slow part of signing in that an attacker could measure."""

    count = 0

    def encode(self, password: str, salt: str) -> str:
        CountingHasher.count += 1
        return super().encode(password, salt)


def test_a_wrong_password_is_hashed_once_whether_or_not_the_address_is_known(
    client: Client, alice: User, settings: Settings
) -> None:
    """OWASP ASVS 6.3.8, for timing."""
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    counts = []
    for email in (alice.email, "nobody@example.com"):
        CountingHasher.count = 0
        steps.sign_in(client, email, "wrong")
        counts.append(CountingHasher.count)
    assert counts == [1, 1]


def test_one_ip_address_cannot_try_many_accounts(client: Client, db: None) -> None:
    for n in range(10):
        steps.sign_in(client, f"p{n}@example.com", "wrong")
    assert "Too many attempts" in steps.sign_in(client, "p10@example.com", "wrong").text
    assert "is wrong" in steps.sign_in(Client(REMOTE_ADDR="192.0.2.7"), "p10@example.com", "wrong").text


def test_the_ip_address_is_the_one_the_trusted_proxy_reported(alice: User, settings: Settings) -> None:
    """OWASP ASVS 15.3.4: what the client itself writes into X-Forwarded-For is ignored."""
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    browser = Client(headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.4"})
    steps.sign_in(browser, alice.email)
    assert UserSession.objects.get().ip == "198.51.100.4"


def test_without_a_trusted_proxy_the_header_is_ignored(alice: User) -> None:
    steps.sign_in(Client(headers={"X-Forwarded-For": "203.0.113.9"}), alice.email)
    assert UserSession.objects.get().ip == "127.0.0.1"


def test_too_many_sign_ups_from_one_ip_address_are_refused_with_a_page(client: Client, db: None) -> None:
    for n in range(20):
        steps.sign_up(client, f"p{n}@example.com", "short")
    response = steps.sign_up(client, "p20@example.com", "short")
    assert response.status_code == 429
    assert "Too many attempts" in response.text
    assert "tokens.css" in response.text


def test_signing_in_changes_the_session_key(client: Client, alice: User) -> None:
    client.get("/accounts/login/")
    session = client.session
    session["before_signing_in"] = True
    session.save()
    client.cookies["sessionid"] = str(session.session_key)
    steps.sign_in(client, alice.email)
    assert client.session.session_key != session.session_key


def test_a_password_is_reset_with_the_code_from_the_e_mail(
    client: Client, alice: User, smtp_server: Mailbox, settings: Settings
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", smtp_server.port
    other_browser = Client()
    steps.sign_in(other_browser, alice.email)

    response = client.post("/accounts/password/reset/", {"email": alice.email})
    [message] = smtp_server.messages
    code = steps.find_code(message)
    assert message["Subject"] == f"{code} resets your veoapp password"
    response = steps.enter_code(client, code, response["Location"])
    new_password = "a brand new horse battery"
    response = client.post(response["Location"], {"password1": new_password, "password2": new_password})
    assert (response.status_code, response["Location"]) == (302, "/")

    assert steps.is_signed_in(client)
    assert not steps.is_signed_in(other_browser)
    alice.refresh_from_db()
    assert alice.check_password(new_password)
    notice = smtp_server.messages[-1]
    assert notice["Subject"] == "Your password was reset"
    assert "127.0.0.1" in steps.get_text(notice)


def test_changing_the_password_ends_other_sessions_and_sends_an_e_mail(client: Client, alice: User) -> None:
    other_browser = Client()
    steps.sign_in(other_browser, alice.email)
    steps.sign_in(client, alice.email)
    new_password = "a brand new horse battery"
    client.post(
        "/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new_password, "password2": new_password}
    )
    assert steps.is_signed_in(client)
    assert not steps.is_signed_in(other_browser)
    assert steps.last_mail().subject == "Your password was changed"


def test_changing_the_address_asks_for_the_password_first(client: Client, alice: User) -> None:
    client.force_login(alice)
    response = client.post("/accounts/email/", {"email": "new@example.com", "action_add": ""})
    assert response["Location"].startswith("/accounts/reauthenticate/")
    assert mail.outbox == []


def test_a_new_address_is_used_once_confirmed_and_the_old_one_is_notified(client: Client, alice: User) -> None:
    steps.sign_in(client, alice.email)
    client.post("/accounts/email/", {"email": "new@example.com", "action_add": ""})
    assert mail.outbox == []
    # The change continues after the password is entered.
    client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": "/accounts/email/"})
    alice.refresh_from_db()
    assert alice.email == "alice@example.com"
    steps.enter_code(client, steps.find_code(steps.last_mail()))
    alice.refresh_from_db()
    assert alice.email == "new@example.com"
    notice = steps.last_mail()
    assert notice.to == ["alice@example.com"]
    assert "new@example.com" in str(notice.body)


def test_the_sessions_page_lists_browsers_and_ends_one(client: Client, alice: User) -> None:
    phone = Client(
        headers={"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"}
    )
    steps.sign_in(phone, alice.email)
    steps.sign_in(client, alice.email)
    assert "Safari · iPhone" in client.get("/accounts/sessions/").text
    session = UserSession.objects.get(user_agent__contains="iPhone")
    client.post(f"/settings/sessions/{session.pk}/end/")
    assert not steps.is_signed_in(phone)
    assert steps.is_signed_in(client)


def test_ending_the_session_in_use_signs_out(client: Client, alice: User) -> None:
    steps.sign_in(client, alice.email)
    client.post(f"/settings/sessions/{UserSession.objects.get().pk}/end/")
    assert not steps.is_signed_in(client)


def test_all_other_sessions_can_be_ended_together(client: Client, alice: User) -> None:
    other_browsers = [Client(), Client()]
    for browser in [*other_browsers, client]:
        steps.sign_in(browser, alice.email)
    client.post("/accounts/sessions/")
    assert [steps.is_signed_in(browser) for browser in [*other_browsers, client]] == [False, False, True]


def test_f80_a_user_cannot_end_another_user_s_session(client: Client, alice: User, bob: User) -> None:
    alice_browser = Client()
    steps.sign_in(alice_browser, alice.email)
    steps.sign_in(client, bob.email)
    session = UserSession.objects.get(user=alice)
    assert client.post(f"/settings/sessions/{session.pk}/end/").status_code == 404
    assert steps.is_signed_in(alice_browser)


def test_pages_do_not_write_the_session_row_within_a_minute(client: Client, alice: User) -> None:
    steps.sign_in(client, alice.email)
    client.get("/settings/")
    first_seen_at = UserSession.objects.get().last_seen_at
    client.get("/settings/")
    assert UserSession.objects.get().last_seen_at == first_seen_at


def test_a_disabled_user_is_signed_out_immediately_and_cannot_sign_in(client: Client, alice: User) -> None:
    steps.sign_in(client, alice.email)
    user_actions.disable(user=alice, actor=None)
    assert not steps.is_signed_in(client)
    assert not UserSession.objects.exists()
    response = steps.sign_in(client, alice.email)
    assert response["Location"] == "/accounts/inactive/"
    assert "An operator of this site has disabled it" in client.get("/accounts/inactive/").text

    user_actions.enable(user=alice, actor=None)
    steps.sign_in(client, alice.email)
    assert steps.is_signed_in(client)


def test_signing_out_needs_a_post(client: Client, alice: User) -> None:
    steps.sign_in(client, alice.email)
    assert "Sign out?" in client.get("/accounts/logout/").text
    assert steps.is_signed_in(client)
    client.post("/accounts/logout/")
    assert not steps.is_signed_in(client)

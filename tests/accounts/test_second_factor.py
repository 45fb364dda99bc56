"""Authenticator apps, recovery codes and passkeys; and the admin, which requires one of them."""

import re
from collections.abc import Callable

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.test import Client, TestCase
from playwright.sync_api import Page, expect
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from tests.accounts import steps
from tests.people import PASSWORD, make_person

pytestmark = pytest.mark.django_db
SET_UP = "/accounts/2fa/totp/activate/"


def get_totp_secret(user: User) -> str:
    """The secret of the user's authenticator app."""
    authenticator = Authenticator.objects.get(user=user, type=Authenticator.Type.TOTP)
    return str(TOTP(authenticator).instance.data["secret"])


def set_up_totp(client: Client) -> str:
    """Set up an authenticator app; returns its secret."""
    page = client.get(SET_UP)
    if page.status_code == 302:
        page = steps.reauthenticate(client, SET_UP)
    secret = page.context["form"].secret
    # allauth works in on-commit hooks, and the test's transaction never commits.
    with TestCase.captureOnCommitCallbacks(execute=True):
        response = client.post(SET_UP, {"code": steps.totp_code(secret)})
    assert response["Location"] == "/accounts/2fa/recovery-codes/"
    return str(secret)


def test_setting_up_an_app_shows_a_qr_code_allowed_by_the_policy_and_then_recovery_codes(
    client: Client, alice: User
) -> None:
    steps.sign_in(client, alice.email)
    page = steps.reauthenticate(client, SET_UP)
    assert 'src="data:image/svg+xml;base64,' in page.text
    assert "img-src 'self' data:" in page["Content-Security-Policy"]
    set_up_totp(client)
    assert len(re.findall(r"<li>\d{8}</li>", client.get("/accounts/2fa/recovery-codes/").text)) == 10
    assert steps.last_mail().subject in {"Two-step sign-in is on", "New recovery codes were created"}


def test_setting_up_an_app_asks_for_the_password_first(client: Client, alice: User) -> None:
    client.force_login(alice)
    response = client.get(SET_UP)
    assert response["Location"].startswith("/accounts/reauthenticate/")
    assert "This password is wrong" in client.post(response["Location"], {"password": "wrong"}).text
    assert steps.reauthenticate(client, SET_UP).status_code == 200


def test_signing_in_asks_for_the_code_of_the_app(client: Client, olga: User) -> None:
    response = steps.sign_in(client, olga.email)
    assert response["Location"].startswith("/accounts/2fa/authenticate/")
    assert not steps.is_signed_in(client)
    assert "Incorrect code" in client.post("/accounts/2fa/authenticate/", {"code": "000000"}).text
    client.post("/accounts/2fa/authenticate/", {"code": steps.totp_code(get_totp_secret(olga))})
    assert steps.is_signed_in(client)


def test_a_code_of_the_app_works_once(olga: User) -> None:
    code = steps.totp_code(get_totp_secret(olga))
    for browser, is_accepted in ((Client(), True), (Client(), False)):
        steps.sign_in(browser, olga.email)
        browser.post("/accounts/2fa/authenticate/", {"code": code})
        assert steps.is_signed_in(browser) is is_accepted


def test_a_recovery_code_signs_in_once(client: Client, alice: User) -> None:
    steps.sign_in(client, alice.email)
    set_up_totp(client)
    code = re.findall(r"<li>(\d{8})</li>", client.get("/accounts/2fa/recovery-codes/").text)[0]
    for browser, is_accepted in ((Client(), True), (Client(), False)):
        steps.sign_in(browser, alice.email)
        browser.post("/accounts/2fa/authenticate/", {"code": code})
        assert steps.is_signed_in(browser) is is_accepted


def test_removing_the_app_is_reported_by_e_mail(client: Client, alice: User) -> None:
    steps.sign_in(client, alice.email)
    set_up_totp(client)
    client.post("/accounts/2fa/totp/deactivate/")
    assert not Authenticator.objects.filter(user=alice).exists()
    assert steps.last_mail().subject == "The authenticator app was removed"


class TestAdmin:
    def test_the_admin_redirects_to_the_common_sign_in_page(self, client: Client) -> None:
        response = client.get("/admin/")
        response = client.get(response["Location"])
        assert response["Location"].startswith("/accounts/login/?next=")
        assert "admin" in response["Location"]

    def test_the_admin_s_own_login_accepts_no_password(self, client: Client, olga: User) -> None:
        response = client.post("/admin/login/", {"username": olga.email, "password": PASSWORD})
        assert response["Location"].startswith("/accounts/login/")
        assert not steps.is_signed_in(client)

    def test_a_customer_is_refused(self, client: Client, alice: User) -> None:
        client.force_login(alice)
        response = client.get("/admin/", follow=True)
        assert response.status_code == 403

    # With real commits, because allauth records the new factor in the session after the commit and before the response.
    @pytest.mark.django_db(transaction=True)
    def test_an_operator_without_a_second_factor_is_sent_to_set_one_up_with_the_reason(
        self, client: Client, settings: Settings
    ) -> None:
        assert settings.STAFF_MFA_REQUIRED
        make_person("oskar@example.com", is_staff=True, is_superuser=True)
        steps.sign_in(client, "oskar@example.com")
        response = client.get("/admin/", follow=True)
        assert SET_UP in [path for path, _status in response.redirect_chain]
        assert "Operators can spend money and see the videos of all users" in response.text

        set_up_totp(client)
        assert "Continue to the operators" in client.get("/accounts/2fa/recovery-codes/").text
        assert client.get("/admin/").status_code == 200

    def test_a_session_without_the_second_factor_must_enter_it(self, client: Client, olga: User) -> None:
        client.force_login(olga)
        response = client.get("/admin/accounts/user/", follow=True)
        page, _status = response.redirect_chain[-1]
        assert page.startswith("/accounts/2fa/reauthenticate/")
        response = client.post(
            page, {"code": steps.totp_code(get_totp_secret(olga)), "next": "/admin/accounts/user/"}, follow=True
        )
        assert response.redirect_chain[-1][0] == "/admin/accounts/user/"
        assert response.status_code == 200

    def test_an_operator_who_signed_in_with_both_steps_is_admitted(self, client: Client, olga: User) -> None:
        steps.sign_in(client, olga.email)
        client.post("/accounts/2fa/authenticate/", {"code": steps.totp_code(get_totp_secret(olga))})
        assert client.get("/admin/").status_code == 200

    def test_removing_the_second_factor_revokes_access(self, client: Client, olga: User) -> None:
        browser = Client()
        steps.sign_in(browser, olga.email)
        browser.post("/accounts/2fa/authenticate/", {"code": steps.totp_code(get_totp_secret(olga))})
        Authenticator.objects.all().delete()
        assert browser.get("/admin/", follow=True).redirect_chain[-1][0].startswith("/accounts/")

    def test_the_second_factor_can_be_optional_in_development(self, client: Client, settings: Settings) -> None:
        settings.STAFF_MFA_REQUIRED = False
        make_person("oskar@example.com", is_staff=True, is_superuser=True)
        steps.sign_in(client, "oskar@example.com")
        assert client.get("/admin/").status_code == 200

    def test_the_admin_s_login_does_not_redirect_to_another_site(self, client: Client, olga: User) -> None:
        steps.sign_in(client, olga.email)
        client.post("/accounts/2fa/authenticate/", {"code": steps.totp_code(get_totp_secret(olga))})
        assert client.get("/admin/login/?next=https://evil.example/")["Location"] == "/admin/"


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_passkey_is_added_and_signs_in_alone(
    new_page: Callable[..., Page], live_server: LiveServer, alice: User, settings: Settings
) -> None:
    settings.MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True  # the live server uses plain http on localhost
    page = new_page()
    add_virtual_authenticator(page)
    page.goto("/accounts/login/")
    page.get_by_label("E-mail address").fill(alice.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{live_server.url}/")

    page.goto("/accounts/2fa/webauthn/add/")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Sign in with it alone").check()
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("The key is added")).to_be_visible()

    page.goto("/accounts/logout/")
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{live_server.url}/")
    page.goto("/settings/")
    expect(page.get_by_role("heading", name="Preferences")).to_be_visible()


def add_virtual_authenticator(page: Page) -> None:
    """Give the browser a virtual security key that confirms every request."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})

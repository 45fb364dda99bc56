"""Authenticator apps, recovery codes and passkeys; and the operators' site, which demands one of them."""

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
from tests.accounts import doorway
from tests.people import PASSWORD, make_person

pytestmark = pytest.mark.django_db
SET_UP = "/accounts/2fa/totp/activate/"


def secret_of(user: User) -> str:
    """The key that the person's authenticator app holds."""
    authenticator = Authenticator.objects.get(user=user, type=Authenticator.Type.TOTP)
    return str(TOTP(authenticator).instance.data["secret"])


def set_up_app(client: Client) -> str:
    """Scan and type: turns two-step sign-in on; returns the key."""
    page = client.get(SET_UP)
    if page.status_code == 302:
        page = doorway.prove(client, SET_UP)
    secret = page.context["form"].secret
    # What allauth does after the commit it does here too, though the test's own transaction never commits.
    with TestCase.captureOnCommitCallbacks(execute=True):
        answer = client.post(SET_UP, {"code": doorway.app_code(secret)})
    assert answer["Location"] == "/accounts/2fa/recovery-codes/"
    return str(secret)


def test_setting_up_an_app_shows_a_picture_that_the_policy_allows_and_then_recovery_codes(
    client: Client, alice: User
) -> None:
    doorway.sign_in(client, alice.email)
    page = doorway.prove(client, SET_UP)
    assert 'src="data:image/svg+xml;base64,' in page.text
    assert "img-src 'self' data:" in page["Content-Security-Policy"]
    set_up_app(client)
    assert len(re.findall(r"<li>\d{8}</li>", client.get("/accounts/2fa/recovery-codes/").text)) == 10
    assert doorway.last_mail().subject in {"Two-step sign-in is on", "New recovery codes were created"}


def test_setting_up_an_app_asks_for_the_password_first(client: Client, alice: User) -> None:
    client.force_login(alice)
    answer = client.get(SET_UP)
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert "This password is wrong" in client.post(answer["Location"], {"password": "wrong"}).text
    assert doorway.prove(client, SET_UP).status_code == 200


def test_signing_in_then_asks_for_the_code(client: Client, olga: User) -> None:
    answer = doorway.sign_in(client, olga.email)
    assert answer["Location"].startswith("/accounts/2fa/authenticate/")
    assert not doorway.is_signed_in(client)
    assert "Incorrect code" in client.post("/accounts/2fa/authenticate/", {"code": "000000"}).text
    client.post("/accounts/2fa/authenticate/", {"code": doorway.app_code(secret_of(olga))})
    assert doorway.is_signed_in(client)


def test_a_code_of_the_app_works_once(olga: User) -> None:
    code = doorway.app_code(secret_of(olga))
    for browser, welcome in ((Client(), True), (Client(), False)):
        doorway.sign_in(browser, olga.email)
        browser.post("/accounts/2fa/authenticate/", {"code": code})
        assert doorway.is_signed_in(browser) is welcome


def test_a_recovery_code_signs_in_once(client: Client, alice: User) -> None:
    doorway.sign_in(client, alice.email)
    set_up_app(client)
    code = re.findall(r"<li>(\d{8})</li>", client.get("/accounts/2fa/recovery-codes/").text)[0]
    for browser, welcome in ((Client(), True), (Client(), False)):
        doorway.sign_in(browser, alice.email)
        browser.post("/accounts/2fa/authenticate/", {"code": code})
        assert doorway.is_signed_in(browser) is welcome


def test_removing_the_app_is_said_by_mail(client: Client, alice: User) -> None:
    doorway.sign_in(client, alice.email)
    set_up_app(client)
    client.post("/accounts/2fa/totp/deactivate/")
    assert not Authenticator.objects.filter(user=alice).exists()
    assert doorway.last_mail().subject == "The authenticator app was removed"


class TestTheOperatorsSite:
    def test_a_stranger_signs_in_on_the_same_page_as_everybody(self, client: Client) -> None:
        answer = client.get("/admin/")
        answer = client.get(answer["Location"])
        assert answer["Location"].startswith("/accounts/login/?next=")
        assert "admin" in answer["Location"]

    def test_the_admin_takes_no_password_of_its_own(self, client: Client, olga: User) -> None:
        answer = client.post("/admin/login/", {"username": olga.email, "password": PASSWORD})
        assert answer["Location"].startswith("/accounts/login/")
        assert not doorway.is_signed_in(client)

    def test_a_customer_is_refused(self, client: Client, alice: User) -> None:
        client.force_login(alice)
        answer = client.get("/admin/", follow=True)
        assert answer.status_code == 403

    # With real commits, for allauth remembers the new factor in the session after the commit and before the answer.
    @pytest.mark.django_db(transaction=True)
    def test_an_operator_without_a_second_step_is_led_to_set_it_up_and_told_why(
        self, client: Client, settings: Settings
    ) -> None:
        assert settings.STAFF_MFA_REQUIRED
        make_person("oskar@example.com", is_staff=True, is_superuser=True)
        doorway.sign_in(client, "oskar@example.com")
        answer = client.get("/admin/", follow=True)
        assert SET_UP in [path for path, _status in answer.redirect_chain]
        assert "Operators spend money and see everybody" in answer.text

        set_up_app(client)
        assert "On to the operators" in client.get("/accounts/2fa/recovery-codes/").text
        assert client.get("/admin/").status_code == 200

    def test_a_session_from_before_the_second_step_must_show_it(self, client: Client, olga: User) -> None:
        client.force_login(olga)
        answer = client.get("/admin/accounts/user/", follow=True)
        page, _status = answer.redirect_chain[-1]
        assert page.startswith("/accounts/2fa/reauthenticate/")
        answer = client.post(
            page, {"code": doorway.app_code(secret_of(olga)), "next": "/admin/accounts/user/"}, follow=True
        )
        assert answer.redirect_chain[-1][0] == "/admin/accounts/user/"
        assert answer.status_code == 200

    def test_an_operator_who_signed_in_with_both_steps_goes_straight_in(self, client: Client, olga: User) -> None:
        doorway.sign_in(client, olga.email)
        client.post("/accounts/2fa/authenticate/", {"code": doorway.app_code(secret_of(olga))})
        assert client.get("/admin/").status_code == 200

    def test_who_removes_the_second_step_is_out_of_the_site(self, client: Client, olga: User) -> None:
        other = Client()
        doorway.sign_in(other, olga.email)
        other.post("/accounts/2fa/authenticate/", {"code": doorway.app_code(secret_of(olga))})
        Authenticator.objects.all().delete()
        assert other.get("/admin/", follow=True).redirect_chain[-1][0].startswith("/accounts/")

    def test_while_developing_the_password_is_enough(self, client: Client, settings: Settings) -> None:
        settings.STAFF_MFA_REQUIRED = False
        make_person("oskar@example.com", is_staff=True, is_superuser=True)
        doorway.sign_in(client, "oskar@example.com")
        assert client.get("/admin/").status_code == 200

    def test_the_login_leads_to_no_other_site(self, client: Client, olga: User) -> None:
        doorway.sign_in(client, olga.email)
        client.post("/accounts/2fa/authenticate/", {"code": doorway.app_code(secret_of(olga))})
        assert client.get("/admin/login/?next=https://evil.example/")["Location"] == "/admin/"


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_passkey_is_added_and_signs_in_alone_under_the_policy(
    new_page: Callable[..., Page], live_server: LiveServer, alice: User, settings: Settings
) -> None:
    settings.MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True  # the test's server speaks plain http, on localhost
    page = new_page()
    with_a_key(page)
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


def with_a_key(page: Page) -> None:
    """Plug a security key into the browser that always says yes."""
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

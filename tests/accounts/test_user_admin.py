"""What operators can and cannot do to users in the admin."""

import pytest
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.admin.users import UserAdmin
from accounts.models import User
from tests.accounts import steps
from tests.people import make_operator, make_person

pytestmark = pytest.mark.django_db
LIST = "/admin/accounts/user/"


@pytest.fixture
def operator(olga: User, settings: Settings) -> Client:
    """Olga's browser, signed in to the admin."""
    settings.STAFF_MFA_REQUIRED = False
    client = Client()
    client.force_login(olga)
    return client


def run_action(operator: Client, action: str, *users: User, **fields: str) -> str:
    """Run an admin action on users; returns the text of the page that follows."""
    form = {"action": action, "_selected_action": [user.pk for user in users], **fields}
    return operator.post(LIST, form, follow=True).text


def test_users_are_found_by_address(operator: Client, alice: User, bob: User) -> None:
    text = operator.get(LIST, {"q": "alice@"}).text
    assert "alice@example.com" in text
    assert "bob@example.com" not in text


def test_a_user_s_page_shows_sessions_and_factors_but_no_secret(operator: Client, olga: User) -> None:
    steps.sign_in(Client(headers={"User-Agent": "Firefox/140 Linux"}), "olga@example.com")
    secret = Authenticator.objects.get(user=olga).data["secret"]
    text = operator.get(f"{LIST}{olga.pk}/change/").text
    assert "second factors" in text.lower()
    assert secret not in text


def test_disabling_signs_out_and_enabling_allows_signing_in(operator: Client, alice: User) -> None:
    browser = Client()
    steps.sign_in(browser, alice.email)
    assert "Disabled: alice@example.com" in run_action(operator, "disable", alice)
    assert not steps.is_signed_in(browser)
    run_action(operator, "enable", alice)
    steps.sign_in(browser, alice.email)
    assert steps.is_signed_in(browser)
    assert set(LogEntry.objects.values_list("change_message", flat=True)) == {"disabled", "enabled"}


def test_an_operator_ends_the_sessions_of_a_user(operator: Client, alice: User) -> None:
    browser = Client()
    steps.sign_in(browser, alice.email)
    assert "1 session ended" in run_action(operator, "end_sessions", alice)
    assert not steps.is_signed_in(browser)


def test_removing_the_second_factor_lets_a_user_sign_in_without_it(operator: Client, settings: Settings) -> None:
    locked_out = make_operator("locked_out@example.com")
    run_action(operator, "remove_second_factor", locked_out)
    browser = Client()
    steps.sign_in(browser, locked_out.email)
    assert steps.is_signed_in(browser)


def test_closing_asks_for_confirmation_and_then_anonymises(operator: Client, alice: User) -> None:
    assert "This cannot be undone" in run_action(operator, "close_account", alice)
    alice.refresh_from_db()
    assert alice.is_active
    run_action(operator, "close_account", alice, confirmed="yes")
    alice.refresh_from_db()
    assert alice.email == f"deleted-{alice.pk}@deleted.invalid"
    assert not LogEntry.objects.filter(object_repr="alice@example.com").exists()


def test_operators_cannot_disable_or_close_their_own_account(operator: Client, olga: User) -> None:
    for action in ("disable", "close_account"):
        assert "Your own account was not changed" in run_action(operator, action, olga, confirmed="yes")
    olga.refresh_from_db()
    assert olga.is_active


def test_users_cannot_be_added_or_deleted_in_the_admin(operator: Client, alice: User) -> None:
    assert operator.get(f"{LIST}add/").status_code == 403
    assert operator.get(f"{LIST}{alice.pk}/delete/").status_code == 403


def test_the_form_does_not_change_the_address_or_the_state(operator: Client, alice: User) -> None:
    operator.post(f"{LIST}{alice.pk}/change/", {"email": "x@example.com", "display_name": "A", "theme": "system"})
    alice.refresh_from_db()
    assert alice.email == "alice@example.com"
    assert alice.is_active


def test_an_operator_who_is_not_a_superuser_cannot_grant_rights(settings: Settings, alice: User) -> None:
    settings.STAFF_MFA_REQUIRED = False
    assistant = make_person("helper@example.com", is_staff=True)
    assistant.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "view_user"]))
    operator = Client()
    operator.force_login(assistant)
    assert operator.get(f"{LIST}{assistant.pk}/change/").status_code == 200
    operator.post(
        f"{LIST}{assistant.pk}/change/",
        {"display_name": "H", "theme": "system", "is_staff": "on", "is_superuser": "on"},
    )
    assistant.refresh_from_db()
    assert not assistant.is_superuser


def test_allauth_s_own_tables_are_not_in_the_admin() -> None:
    names = {model._meta.label for model in admin.site._registry}
    assert not names & {"account.EmailAddress", "mfa.Authenticator", "usersessions.UserSession"}
    assert isinstance(admin.site._registry[User], UserAdmin)

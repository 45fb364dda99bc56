"""What operators can and cannot do to people."""

import pytest
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.admin.users import UserAdmin
from accounts.models import User
from tests.accounts import doorway
from tests.people import make_operator, make_person

pytestmark = pytest.mark.django_db
LIST = "/admin/accounts/user/"


@pytest.fixture
def desk(olga: User, settings: Settings) -> Client:
    """Olga's browser, inside the operators' site."""
    settings.STAFF_MFA_REQUIRED = False
    client = Client()
    client.force_login(olga)
    return client


def do(desk: Client, action: str, *chosen: User, **more: str) -> str:
    """Tick people in the list, choose the action; what the page says afterwards."""
    form = {"action": action, "_selected_action": [user.pk for user in chosen], **more}
    return desk.post(LIST, form, follow=True).text


def test_people_are_found_by_address(desk: Client, alice: User, bob: User) -> None:
    text = desk.get(LIST, {"q": "alice@"}).text
    assert "alice@example.com" in text
    assert "bob@example.com" not in text


def test_a_person_s_page_shows_sessions_and_factors_but_no_secret(desk: Client, olga: User) -> None:
    doorway.sign_in(Client(headers={"User-Agent": "Firefox/140 Linux"}), "olga@example.com")
    secret = Authenticator.objects.get(user=olga).data["secret"]
    text = desk.get(f"{LIST}{olga.pk}/change/").text
    assert "second factors" in text.lower()
    assert secret not in text


def test_disabling_signs_out_and_enabling_lets_in(desk: Client, alice: User) -> None:
    victim = Client()
    doorway.sign_in(victim, alice.email)
    assert "Disabled: alice@example.com" in do(desk, "disable", alice)
    assert not doorway.is_signed_in(victim)
    do(desk, "enable", alice)
    doorway.sign_in(victim, alice.email)
    assert doorway.is_signed_in(victim)
    assert set(LogEntry.objects.values_list("change_message", flat=True)) == {"disabled", "enabled"}


def test_sessions_are_ended_for_somebody(desk: Client, alice: User) -> None:
    browser = Client()
    doorway.sign_in(browser, alice.email)
    assert "1 session ended" in do(desk, "end_sessions", alice)
    assert not doorway.is_signed_in(browser)


def test_who_lost_the_phone_gets_in_again(desk: Client, settings: Settings) -> None:
    stuck = make_operator("stuck@example.com")
    do(desk, "remove_second_factor", stuck)
    browser = Client()
    doorway.sign_in(browser, stuck.email)
    assert doorway.is_signed_in(browser)


def test_closing_asks_first_and_then_anonymises(desk: Client, alice: User) -> None:
    assert "This cannot be undone" in do(desk, "close_account", alice)
    alice.refresh_from_db()
    assert alice.is_active
    do(desk, "close_account", alice, confirmed="yes")
    alice.refresh_from_db()
    assert alice.email == f"deleted-{alice.pk}@deleted.invalid"
    assert not LogEntry.objects.filter(object_repr="alice@example.com").exists()


def test_operators_do_not_lock_themselves_out(desk: Client, olga: User) -> None:
    for action in ("disable", "close_account"):
        assert "Your own account was not changed" in do(desk, action, olga, confirmed="yes")
    olga.refresh_from_db()
    assert olga.is_active


def test_people_are_never_added_or_deleted_by_hand(desk: Client, alice: User) -> None:
    assert desk.get(f"{LIST}add/").status_code == 403
    assert desk.get(f"{LIST}{alice.pk}/delete/").status_code == 403


def test_the_address_and_the_state_change_only_through_the_acts(desk: Client, alice: User) -> None:
    desk.post(f"{LIST}{alice.pk}/change/", {"email": "x@example.com", "display_name": "A", "theme": "system"})
    alice.refresh_from_db()
    assert alice.email == "alice@example.com"
    assert alice.is_active


def test_an_operator_who_is_no_superuser_hands_out_no_rights(settings: Settings, alice: User) -> None:
    settings.STAFF_MFA_REQUIRED = False
    helper = make_person("helper@example.com", is_staff=True)
    helper.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "view_user"]))
    desk = Client()
    desk.force_login(helper)
    assert desk.get(f"{LIST}{helper.pk}/change/").status_code == 200
    desk.post(
        f"{LIST}{helper.pk}/change/",
        {"display_name": "H", "theme": "system", "is_staff": "on", "is_superuser": "on"},
    )
    helper.refresh_from_db()
    assert not helper.is_superuser


def test_the_pages_of_allauth_that_could_break_a_person_are_not_in_the_admin() -> None:
    names = {model._meta.label for model in admin.site._registry}
    assert not names & {"account.EmailAddress", "mfa.Authenticator", "usersessions.UserSession"}
    assert isinstance(admin.site._registry[User], UserAdmin)

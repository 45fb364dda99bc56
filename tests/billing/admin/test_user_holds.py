"""Operators hold and release users in the user list, and release them in the list of holds."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django.fixtures import Settings

from accounts import user_actions
from accounts.models import User
from billing.guard import anomalies, user_holds
from billing.guard.anomalies import RecentOutcomes
from billing.models import Alert, ProviderAccount, Spend, UserHold, WatchTrip
from billing.provider import accounts as provider_accounts
from tests.billing.conftest import browser_of
from tests.clocks import ManualClock
from tests.people import make_person

pytestmark = pytest.mark.django_db
USERS, HOLDS, TRIPS = "/admin/accounts/user/", "/admin/billing/userhold/", "/admin/billing/watchtrip/"


def run_action(staff: Client, path: str, action: str, *rows: object, **form: str) -> str:
    keys = [row.pk for row in rows]  # type: ignore[attr-defined]
    return staff.post(path, {"action": action, "_selected_action": keys, **form}, follow=True).text


def hold_for_burst(user: User, account: ProviderAccount, new_spend: Callable[..., Spend]) -> None:
    for _ in range(31):
        new_spend(user=user)
    assert anomalies.check_anomalies(account_id=account.pk, outcomes_since=lambda since: RecentOutcomes(0, {}))


def test_a_hold_asks_for_its_reason_and_end(staff: Client, alice: User, olga: User, manual_clock: ManualClock) -> None:
    assert "Videos that are being made continue" in run_action(staff, USERS, "hold_orders", alice)
    assert not UserHold.objects.exists()
    text = run_action(
        staff, USERS, "hold_orders", alice, confirmed="yes", reason="please call us", until="2026-09-02T08:00"
    )
    assert "New videos are held: alice@example.com" in text
    hold = UserHold.objects.get()
    assert (hold.user, hold.code, hold.reason, hold.held_by) == (alice, "person", "please call us", olga)
    assert hold.until == manual_clock.at + timedelta(hours=20)
    assert LogEntry.objects.get().change_message == "new videos held: please call us"


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"reason": ""}, "This field is required"),
        ({"reason": "x", "until": "2026-09-01T12:00"}, "This time is in the past"),
        ({"reason": "x", "until": "soon"}, "Enter a valid date/time"),
    ],
)
def test_an_invalid_form_holds_no_user(
    staff: Client, alice: User, manual_clock: ManualClock, form: dict[str, str], message: str
) -> None:
    assert message in run_action(staff, USERS, "hold_orders", alice, confirmed="yes", **form)
    assert not UserHold.objects.exists()


def test_closed_accounts_are_not_held_and_the_number_is_limited(
    staff: Client, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.admin.user_holds.MAX_USERS", 1)
    assert "Choose 1 to 1 users" in run_action(staff, USERS, "hold_orders", alice, bob)
    user_actions.close_account(user=alice, actor=None)
    assert "Choose 1 to 1 users" in run_action(staff, USERS, "hold_orders", alice)


def test_holds_are_released_in_the_user_list(staff: Client, alice: User, bob: User, olga: User) -> None:
    user_holds.hold(user=alice, code=user_holds.Code.OPERATOR, reason="x", actor=olga)
    text = run_action(staff, USERS, "release_orders", alice, bob)
    assert "Can order again: alice@example.com" in text
    assert "There was no hold on bob@example.com." in text
    assert not UserHold.objects.exists()
    assert LogEntry.objects.get().change_message == "hold released"


def test_a_user_page_offers_to_hold_or_to_release(staff: Client, alice: User) -> None:
    assert "Hold new videos…" in staff.get(f"{USERS}{alice.pk}/change/").text
    user_holds.hold(user=alice, code=user_holds.Code.BURST)
    text = staff.get(f"{USERS}{alice.pk}/change/").text
    assert "Release the hold" in text
    assert "Hold new videos…" not in text


def test_the_list_of_holds_shows_operator_reason_and_end_and_releases(
    staff: Client,
    alice: User,
    bob: User,
    olga: User,
    account: ProviderAccount,
    new_spend: Callable[..., Spend],
    manual_clock: ManualClock,
) -> None:
    hold_for_burst(alice, account, new_spend)
    user_holds.hold(user=bob, code=user_holds.Code.OPERATOR, reason="please call us", actor=olga)
    released = make_person("released@example.com")
    user_holds.hold(user=released, code=user_holds.Code.BURST, until=manual_clock.at)
    text = staff.get(HOLDS).text
    for expected in (
        "Unusually many videos at once",
        "the spending monitor",
        "please call us",
        "until an operator releases it",
    ):
        assert expected in text
    assert "released@example.com" not in text
    assert "Can order again: alice@example.com" in run_action(staff, HOLDS, "release", UserHold.objects.get(user=alice))
    assert Alert.objects.get(kind="user_burst").resolved_at is not None
    assert WatchTrip.objects.get().by_person


def test_the_list_of_stops_shows_the_measured_value_and_how_each_ended(
    staff: Client, alice: User, account: ProviderAccount, new_spend: Callable[..., Spend], manual_clock: ManualClock
) -> None:
    hold_for_burst(alice, account, new_spend)
    assert "Still in force" in staff.get(TRIPS).text
    manual_clock.sleep(3600)
    anomalies.end_finished_trips()
    trips = anomalies.check_anomalies(
        account_id=account.pk, outcomes_since=lambda since: RecentOutcomes(20, {"generation": 20})
    )
    assert len(trips) == 1
    provider_accounts.resume_account(account_id=account.pk)
    anomalies.end_finished_trips()
    text = staff.get(TRIPS).text
    for expected in ("alice@example.com", "kie.ai", "automatically", "by an operator", ">31<", ">0.6<"):
        assert expected in text


def test_holding_needs_the_permission(settings: Settings, alice: User) -> None:
    settings.STAFF_MFA_REQUIRED = False
    clerk = make_person("clerk@example.com", is_staff=True)
    names = ["view_user", "change_user", "view_userhold"]
    clerk.user_permissions.set(Permission.objects.filter(codename__in=names))
    staff = browser_of(clerk)
    run_action(staff, USERS, "hold_orders", alice, confirmed="yes", reason="x")
    assert not UserHold.objects.exists()
    user_holds.hold(user=alice, code=user_holds.Code.BURST)
    run_action(staff, HOLDS, "release", UserHold.objects.get())
    assert UserHold.objects.exists()
    assert "Hold new videos" not in staff.get(f"{USERS}{alice.pk}/change/").text

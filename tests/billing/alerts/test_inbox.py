"""The operators' inbox of alerts, an alert's page, and the banner on every page."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.alerts import outbox as alert_outbox
from billing.alerts import services as alerts
from billing.models import Alert
from tests.billing.conftest import browser_of
from tests.clocks import ManualClock
from tests.people import make_person

pytestmark = pytest.mark.django_db
Kind = Alert.Kind
INBOX = "/admin/billing/alert/"


def run_action(staff: Client, action: str, *selected: Alert) -> str:
    """Run an action for these alerts; returns the page."""
    form: dict[str, Any] = {"action": action, "_selected_action": [alert.pk for alert in selected]}
    return staff.post(INBOX, form, follow=True).text


def read_page(staff: Client, alert: Alert) -> str:
    return staff.get(f"{INBOX}{alert.pk}/change/").text


def list_log_messages(alert: Alert) -> list[str]:
    return [entry.get_change_message() for entry in LogEntry.objects.filter(object_id=str(alert.pk)).order_by("pk")]


@pytest.mark.parametrize(
    ("action", "until"),
    [
        ("snooze_hour", timedelta(hours=1)),
        ("snooze_tomorrow", timedelta(hours=20)),
        ("snooze_week", timedelta(days=6, hours=20)),
    ],
)
def test_snoozed_alerts_reappear_automatically(
    staff: Client, manual_clock: ManualClock, olga: User, action: str, until: timedelta
) -> None:
    alert = alerts.raise_alert(Kind.STORAGE)
    assert "1 alert snoozed." in run_action(staff, action, alert)
    alert.refresh_from_db()
    assert (alert.snoozed_until, alert.snoozed_by) == (manual_clock.at + until, olga)
    assert "Snoozed" in read_page(staff, alert)
    assert "1 alert" in staff.get(INBOX, {"state": "snoozed"}).text
    assert "0 alerts" in staff.get(INBOX, {"state": "open"}).text
    manual_clock.sleep(until.total_seconds())
    assert "1 alert" in staff.get(INBOX, {"state": "open"}).text
    assert list_log_messages(alert)[0].startswith("snoozed until 2026-09-0")


def test_only_an_alert_without_automatic_end_can_be_resolved_by_an_operator(staff: Client, olga: User) -> None:
    manual, automatic = alerts.raise_alert(Kind.LATE_RESULT), alerts.raise_alert(Kind.LOW_BALANCE)
    assert "Mark as resolved" in read_page(staff, manual)
    assert "Mark as resolved" not in read_page(staff, automatic)
    page = run_action(staff, "resolve", manual, automatic)
    assert "1 alert resolved. Other alerts resolve automatically when their cause ends" in page
    manual.refresh_from_db()
    automatic.refresh_from_db()
    assert manual.resolved_at is not None
    assert automatic.resolved_at is None
    assert "Other alerts resolve automatically" not in run_action(staff, "resolve", manual)
    assert list_log_messages(manual) == ["resolved by an operator"]


def test_an_alert_s_page_shows_its_runbook_entry(
    staff: Client, settings: Settings, olga: User, manual_clock: ManualClock
) -> None:
    settings.COST_ALERT_EMAIL = ["olga@example.com"]
    alert = alerts.raise_alert(Kind.CRITICAL_BALANCE, cause="provider account 7", detail="balance 480")
    text = read_page(staff, alert)
    for expected in ("Top up at the provider.", "What veoapp did", "balance 480", "/admin/billing/provideraccount/7/"):
        assert expected in text
    assert "next 09-01 12:00 · tried 0×" in text
    assert "Mark as seen" in text
    [delivery] = alert_outbox.due_deliveries()
    assert alert_outbox.claim_delivery(delivery)
    alert_outbox.record_failed(delivery, error="the mail server refused it", is_permanent=True)
    assert "the mail server refused it" in read_page(staff, alert)
    assert "Not delivered" in staff.get(INBOX).text
    assert "1 alert marked." in run_action(staff, "acknowledge", alert)
    assert "Mark as seen" not in read_page(staff, alert)
    alerts.resolve_alerts(Kind.CRITICAL_BALANCE)
    assert "Snooze for an hour" not in read_page(staff, alert)


def test_buttons_send_large_row_numbers_without_separators(staff: Client, olga: User) -> None:
    alert = Alert.objects.create(
        pk=12_346, kind=Kind.BOOKS_UNBALANCED, severity=Alert.Severity.CRITICAL, window_key="a late one"
    )
    text = read_page(staff, alert)
    assert '<input type="hidden" name="_selected_action" value="12346">' in text
    assert '<input type="hidden" name="alert" value="12346">' in staff.get("/admin/billing/price/").text
    person = make_person("late@example.com", pk=54_321)
    assert 'value="54321"' in staff.get(f"/admin/accounts/user/{person.pk}/change/").text
    staff.post(
        INBOX, {"action": "acknowledge", "_selected_action": re.findall(r'"_selected_action" value="(.*?)"', text)}
    )
    alert.refresh_from_db()
    assert alert.acknowledged_by == olga


def test_a_page_shows_the_deliveries(staff: Client, settings: Settings, manual_clock: ManualClock) -> None:
    unreported = alerts.raise_alert(Kind.DELAYED)
    assert "No one was notified." in read_page(staff, unreported)
    settings.COST_ALERT_EMAIL = ["olga@example.com"]
    reported = alerts.raise_alert(Kind.STORAGE)
    [delivery] = alert_outbox.due_deliveries()
    assert alert_outbox.claim_delivery(delivery)
    alert_outbox.record_sent(delivery, at=manual_clock.at)
    assert "09-01 12:00:00" in read_page(staff, reported)
    assert "Not delivered" not in staff.get(INBOX).text


def test_the_list_takes_as_many_queries_for_many_alerts_as_for_few(staff: Client) -> None:
    alerts.raise_alert(Kind.STORAGE)
    staff.get(INBOX)
    with CaptureQueriesContext(connection) as few:
        staff.get(INBOX)
    for n in range(20):
        alerts.raise_alert(Kind.UNCONFIRMED, cause=f"video {n}")
    with CaptureQueriesContext(connection) as many:
        staff.get(INBOX)
    assert len(many) == len(few)


def test_the_list_filters_by_existing_kinds(staff: Client) -> None:
    alerts.raise_alert(Kind.STORAGE)
    alerts.raise_alert(Kind.UNCONFIRMED)
    assert "?kind=storage" in staff.get(INBOX).text
    assert "?kind=books" not in staff.get(INBOX).text
    assert "1 alert" in staff.get(INBOX, {"kind": "storage"}).text


def test_a_missing_alert_is_not_found(staff: Client) -> None:
    assert staff.get(f"{INBOX}999/change/").status_code == 404


# The banner


def test_every_page_shows_critical_alerts_and_one_click_acknowledges_them(
    staff: Client, olga: User, manual_clock: ManualClock
) -> None:
    assert "alert-banner" not in staff.get("/").text
    first = alerts.raise_alert(Kind.STORAGE)
    # /admin/ is not among these pages: it shows alerts in its content.
    for path in ("/", "/credits/", "/admin/billing/price/", INBOX):
        text = staff.get(path).text
        assert text.count('class="alert-banner"') == 1, path
        assert "Media storage has trouble" in text
    manual_clock.sleep(1)
    second = alerts.raise_alert(Kind.BOOKS_UNBALANCED)
    assert "2 critical alerts: The books do not balance and others" in staff.get("/credits/").text
    response = staff.post(f"{INBOX}seen/", {"alert": [first.pk, "x"], "next": "/credits/?page=1"})
    assert (response.status_code, response["Location"]) == (302, "/credits/?page=1")
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.acknowledged_by, second.acknowledged_by) == (olga, None)
    assert "The books do not balance" in staff.get("/credits/").text
    assert staff.post(f"{INBOX}seen/", {"alert": [second.pk], "next": "https://evil.example/"})["Location"] == INBOX
    assert "alert-banner" not in staff.get("/").text


def test_warnings_snoozed_and_resolved_alerts_show_no_banner(
    staff: Client, olga: User, manual_clock: ManualClock
) -> None:
    alerts.raise_alert(Kind.WORKER)
    snoozed = alerts.raise_alert(Kind.STORAGE)
    alerts.snooze(alert_id=snoozed.pk, actor=olga, until=manual_clock.at + timedelta(hours=1))
    alerts.raise_alert(Kind.BOOKS_UNBALANCED)
    alerts.resolve_alerts(Kind.BOOKS_UNBALANCED)
    assert "alert-banner" not in staff.get("/credits/").text
    manual_clock.sleep(3600)
    assert "alert-banner" in staff.get("/credits/").text


def test_the_banner_costs_operators_one_query_and_others_none(staff: Client, alice: User) -> None:
    def count_alert_queries(client: Client) -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get("/credits/")
        return sum("billing_alert" in query["sql"] for query in queries)

    alerts.raise_alert(Kind.STORAGE)
    assert count_alert_queries(staff) == 1
    assert count_alert_queries(browser_of(alice)) == 0
    assert "Media storage" not in browser_of(alice).get("/credits/").text


def test_staff_without_the_permission_see_no_banner(settings: Settings, olga: User) -> None:
    alerts.raise_alert(Kind.STORAGE)
    settings.STAFF_MFA_REQUIRED = False
    staff_member = make_person("clerk@example.com", is_staff=True)
    assert "alert-banner" not in browser_of(staff_member).get("/credits/").text
    assert browser_of(staff_member).post(f"{INBOX}seen/", {"alert": ["1"]}).status_code == 403
    staff_member.user_permissions.set(Permission.objects.filter(codename="change_alert"))
    assert "alert-banner" in browser_of(staff_member).get("/credits/").text
    # A session without the second factor gets no operator pages.
    settings.STAFF_MFA_REQUIRED = True
    assert "alert-banner" not in browser_of(olga).get("/credits/").text


def test_only_operators_get_banner_items(rf: RequestFactory, alice: User) -> None:
    alerts.raise_alert(Kind.STORAGE)
    request = rf.get("/")
    request.user = alice
    assert alerts.list_banner_items(request) == []


def test_acknowledging_from_the_banner_needs_a_post_request(staff: Client) -> None:
    assert staff.get(f"{INBOX}seen/").status_code == 405


def test_anonymous_visitors_see_no_banner(client: Client) -> None:
    alerts.raise_alert(Kind.STORAGE)
    assert "alert-banner" not in client.get("/").text

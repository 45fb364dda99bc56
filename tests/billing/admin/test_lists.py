"""The ledger, alerts, spend and paid calls in the admin, all read-only."""

import pytest
from django.test import Client

from accounts.models import User
from billing.alerts import services as alerts
from billing.credits import ledger
from billing.models import (
    Alert,
    LedgerEntry,
    PaidCall,
)
from tests.billing import history
from tests.billing.admin.pages import ALERTS, CALLS, LEDGER, SPEND, USERS, list_cells, run_action
from tests.jobs import job_id
from tests.people import give_credits

pytestmark = pytest.mark.django_db


def test_the_ledger_is_searched_by_user_reference_and_kind(staff: Client, alice: User, bob: User) -> None:
    task = history.make_cancelled(alice)
    give_credits(bob, 5)
    text = staff.get(LEDGER).text
    assert f"{USERS}{alice.pk}/change/" in text
    assert f'href="/admin/videos/videotask/{task.pk}/change/"' in text
    for query in ({"q": "bob@"}, {"account__user": str(bob.pk)}):
        text = staff.get(LEDGER, query).text
        assert list_cells(text, "credits") == ["+5"]
    assert list_cells(staff.get(LEDGER, {"q": task.reference}).text, "credits") == ["+60", "−60"]
    assert list_cells(staff.get(LEDGER, {"kind__exact": "refund"}).text, "credits") == ["+60"]
    ledger.charge(user=bob, user_credits=1, idempotency_key="k", job_id=job_id("film:1"), reference="film:1")
    assert list_cells(staff.get(LEDGER, {"q": "film:1"}).text, "reference_link") == ["film:1"]
    assert list_cells(staff.get(LEDGER, {"account__balance": "5"}, follow=True).text, "credits") != ["+5"]


def test_an_entry_is_read_only(staff: Client, alice: User) -> None:
    history.make_cancelled(alice)
    charge = LedgerEntry.objects.get(kind="charge")
    text = staff.get(f"{LEDGER}{charge.pk}/change/").text
    assert "Refund +60" in text
    assert 'name="_save"' not in text
    for url in (f"{LEDGER}add/", f"{LEDGER}{charge.pk}/delete/"):
        assert staff.get(url).status_code == 403
        assert staff.post(url, {"post": "yes"}).status_code == 403
    assert staff.post(f"{LEDGER}{charge.pk}/change/", {"amount": "1"}).status_code == 403
    assert "delete_selected" not in staff.get(LEDGER).text
    assert ledger.balance_of(alice) == 60
    assert LedgerEntry.objects.count() == 3


def test_alerts_are_filtered_and_marked_as_seen(staff: Client, alice: User, olga: User) -> None:
    task = history.make_waiting(alice)
    first = alerts.raise_alert(Alert.Kind.DELAYED, cause=task.reference, reference=task.reference)
    second = alerts.raise_alert(Alert.Kind.STORAGE, cause="media", detail="full")
    text = staff.get(ALERTS).text
    assert f"/admin/videos/videotask/{task.pk}/change/" in text
    assert "1 alert marked." in run_action(staff, ALERTS, "acknowledge", first)
    assert "1 alert marked." in run_action(staff, ALERTS, "acknowledge", first, second)
    alerts.resolve_alerts(Alert.Kind.STORAGE)
    first.refresh_from_db()
    assert first.acknowledged_by == olga
    third = alerts.raise_alert(Alert.Kind.WORKER, detail="killed")
    assert list_cells(staff.get(ALERTS, {"state": "open"}).text, "details") == [third.detail]
    assert list_cells(staff.get(ALERTS, {"state": "seen"}).text, "details") == ["–"]
    assert list_cells(staff.get(ALERTS, {"state": "resolved"}).text, "details") == ["full"]
    assert sorted(list_cells(staff.get(ALERTS).text, "state")) == ["Open", "Resolved", "Seen"]
    assert "full" in staff.get(f"{ALERTS}{second.pk}/change/").text


def test_spend_and_paid_calls_are_listed(staff: Client, alice: User) -> None:
    task = history.make_ready(alice)
    history.make_waiting(alice)
    text = staff.get(SPEND).text
    assert list_cells(text, "actual_cost") == ["–", "60"]
    assert list_cells(text, "usd") == ["0.3000", "0.3000"]
    assert list_cells(text, "account_link") == ["–", "kie.ai"]
    assert list_cells(staff.get(SPEND, {"q": task.reference}).text, "status") == ["Settled"]
    assert list_cells(staff.get(CALLS, {"q": "alice@"}).text, "result") == ["Accepted"]
    PaidCall.objects.update(answered_at=None)
    assert list_cells(staff.get(CALLS).text, "answered") == ["–"]

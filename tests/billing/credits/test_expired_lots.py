"""Expiry of credits: lots are removed once their time has come, and a notice announces them."""

from datetime import timedelta

import pytest
from django.test import Client

from accounts.models import User
from billing.audit import runner as audit_runner
from billing.credits import expired_lots, ledger
from billing.models import CreditAccount, CreditLot
from tests.billing import history
from tests.billing.credits.test_lots import balance_and_entries, charge, grant_lot, refund, remaining_credits
from tests.clocks import ManualClock
from videos.models import VideoTask
from videos.worker import sweep
from videos.worker import tasks as worker_tasks

pytestmark = pytest.mark.django_db


DAY = 86400


def test_a_lot_expires_once_at_its_time(alice: User, manual_clock: ManualClock) -> None:
    lot = grant_lot(alice, 30, days=3, clock=manual_clock)
    grant_lot(alice, 100)
    charge(alice, 10)
    assert expired_lots.expire_due() == 0
    assert ledger.expire(lot_id=lot.pk) is None
    manual_clock.sleep(3 * DAY)
    assert expired_lots.expire_due() == 1
    assert expired_lots.expire_due() == 0
    assert ledger.expire(lot_id=lot.pk) is None
    entry = ledger.statement(alice).latest("id")
    assert (entry.idempotency_key, entry.amount) == (f"expiry:lot:{lot.pk}", -20)
    assert (entry.note, entry.reference) == (ledger.EXPIRY_NOTE, f"lot:{lot.pk}")
    lot.refresh_from_db()
    assert (lot.remaining, lot.expired_at) == (0, manual_clock.at)
    assert balance_and_entries(alice) == (100, [("grant", 30), ("grant", 100), ("charge", -10), ("expiry", -20)])
    assert {problem.invariant for problem in audit_runner.find_problems()} == {"I22"}, (
        "the only problem is that the job of this test is not a video"
    )


def test_credits_without_an_expiry_never_expire(alice: User, manual_clock: ManualClock) -> None:
    lot = grant_lot(alice, 30)
    manual_clock.sleep(10_000 * DAY)
    assert expired_lots.expire_due() == 0
    assert ledger.expire(lot_id=lot.pk) is None
    assert balance_and_entries(alice) == (30, [("grant", 30)])


def test_expired_credits_can_be_spent_until_they_are_removed(alice: User, manual_clock: ManualClock) -> None:
    grant_lot(alice, 30, days=1, clock=manual_clock)
    manual_clock.sleep(DAY + 60)
    charge(alice, 20)
    assert expired_lots.expire_due() == 1
    assert balance_and_entries(alice) == (0, [("grant", 30), ("charge", -20), ("expiry", -10)])


def test_a_video_that_waits_keeps_its_credits_and_its_refund_gets_grace(alice: User, manual_clock: ManualClock) -> None:
    grant_lot(alice, 60, days=1, clock=manual_clock)
    charge(alice, 60)
    manual_clock.sleep(2 * DAY)
    assert expired_lots.expire_due() == 0
    refund()
    assert balance_and_entries(alice) == (60, [("grant", 60), ("charge", -60), ("refund", 60)])
    manual_clock.sleep(7 * DAY)
    assert expired_lots.expire_due() == 1
    assert balance_and_entries(alice)[0] == 0


def test_a_run_expires_the_longest_overdue_lots_first_up_to_its_limit(alice: User, manual_clock: ManualClock) -> None:
    later, first = grant_lot(alice, 2, days=2, clock=manual_clock), grant_lot(alice, 1, days=1, clock=manual_clock)
    manual_clock.sleep(3 * DAY)
    assert expired_lots.expire_due(limit=1) == 1
    assert remaining_credits(first, later) == [0, 2]
    assert expired_lots.expire_due(limit=1) == 1
    assert balance_and_entries(alice) == (0, [("grant", 2), ("grant", 1), ("expiry", -1), ("expiry", -2)])


def test_an_inconsistent_account_does_not_stop_other_lots_from_expiring(
    alice: User, bob: User, manual_clock: ManualClock
) -> None:
    grant_lot(alice, 30, days=1, clock=manual_clock)
    grant_lot(bob, 5, days=2, clock=manual_clock)
    CreditAccount.objects.filter(user=alice).update(balance=29)
    manual_clock.sleep(3 * DAY)
    assert expired_lots.expire_due() == 1
    assert ledger.balance_of(alice) == 29
    assert ledger.balance_of(bob) == 0
    assert [entry.amount for entry in ledger.statement(bob)] == [-5, 5]


def test_expiry_runs_every_two_minutes(alice: User, manual_clock: ManualClock) -> None:
    grant_lot(alice, 30, days=1, clock=manual_clock)
    manual_clock.sleep(DAY)
    assert "lots" in sweep.enqueue_due()
    worker_tasks.lots()
    assert balance_and_entries(alice)[0] == 0
    assert "lots" not in sweep.enqueue_due()
    manual_clock.sleep(121)
    assert "lots" in sweep.enqueue_due()


def sign_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_a_notice_on_every_page_announces_expiring_credits_until_it_is_hidden(
    alice: User, manual_clock: ManualClock
) -> None:
    grant_lot(alice, 100)
    client = sign_in(alice)
    assert "strip" not in client.get("/videos/").text
    grant_lot(alice, 30, days=5, clock=manual_clock)
    text = client.get("/videos/").text
    assert "<b>30 credits</b> expire on 6 Sep 12:00." in " ".join(text.split())
    grant_lot(alice, 12, days=6, clock=manual_clock)
    assert "42 credits</b> expire within a week, 30 of them on" in " ".join(client.get("/videos/").text.split())
    assert "strip" not in client.get("/credits/").text, "that page shows the details"
    response = client.post("/credits/expiring/hide/", {"next": "/videos/?q=kite"})
    assert response["Location"] == "/videos/?q=kite"
    assert "strip" not in client.get("/videos/").text
    manual_clock.sleep(4.5 * DAY)
    text = client.get("/videos/").text
    assert "strip-warn" in text, "the last day is announced again"
    assert client.post("/credits/expiring/hide/", {"next": "https://elsewhere.example/"})["Location"] == "/credits/"
    manual_clock.sleep(10 * DAY)
    assert client.post("/credits/expiring/hide/")["Location"] == "/credits/"
    assert "strip" not in client.get("/videos/").text
    assert balance_and_entries(alice)[0] == 142


def test_a_video_ordered_in_time_is_made_although_its_credits_would_have_expired(
    alice: User, manual_clock: ManualClock
) -> None:
    task = history.make_waiting(alice)
    CreditLot.objects.update(expires_at=manual_clock.at + timedelta(hours=1))
    manual_clock.sleep(2 * 3600)
    assert expired_lots.expire_due() == 0
    assert VideoTask.objects.get(pk=task.pk).status == VideoTask.Status.QUEUED
    assert balance_and_entries(alice) == (0, [("grant", 60), ("charge", -60)])

"""Credits with an end go when their time has come, once, and never unannounced."""

from datetime import timedelta
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected
from typing import Any

import pytest
from django.core import mail as outbox
from django.core.mail import EmailMultiAlternatives
from django.test import Client

from accounts import user_actions
from accounts.models import User
from billing.audit import runner as audit_runner
from billing.credits import expiry, ledger
from billing.models import CreditAccount, CreditLot
from tests.billing import history
from tests.billing.conftest import SetClock
from tests.billing.credits.test_lots import charge, give, left, money, refund
from videos.models import VideoTask
from videos.worker import sweep
from videos.worker import tasks as worker_tasks

pytestmark = pytest.mark.django_db

DAY = 86400


def mails() -> list[tuple[str, str]]:
    """To whom and with which subject, then forget them."""
    sent = [(message.to[0], str(message.subject)) for message in outbox.outbox]
    outbox.outbox.clear()
    return sent


# Expiring


def test_a_lot_expires_when_its_time_has_come_and_once(alice: User, still: SetClock) -> None:
    lot = give(alice, 30, days=3, clock=still)
    give(alice, 100)
    charge(alice, 10)
    assert expiry.expire_due() == 0
    assert ledger.expire(lot_id=lot.pk) is None
    still.sleep(3 * DAY)
    assert expiry.expire_due() == 1
    assert expiry.expire_due() == 0
    assert ledger.expire(lot_id=lot.pk) is None
    entry = ledger.statement(alice).latest("id")
    assert (entry.idempotency_key, entry.amount) == (f"expiry:lot:{lot.pk}", -20)
    assert (entry.note, entry.reference) == (ledger.EXPIRY_NOTE, f"lot:{lot.pk}")
    lot.refresh_from_db()
    assert (lot.remaining, lot.expired_at) == (0, still.at)
    assert money(alice) == (100, [("grant", 30), ("grant", 100), ("charge", -10), ("expiry", -20)])
    assert {problem.invariant for problem in audit_runner.find_problems()} == {"I22"}, (
        "only that the job of this test is no video"
    )


def test_credits_without_an_end_never_expire(alice: User, still: SetClock) -> None:
    lot = give(alice, 30)
    still.sleep(10_000 * DAY)
    assert expiry.expire_due() == 0
    assert ledger.expire(lot_id=lot.pk) is None
    assert money(alice) == (30, [("grant", 30)])


def test_what_a_balance_shows_can_be_spent_until_it_is_taken_out(alice: User, still: SetClock) -> None:
    give(alice, 30, days=1, clock=still)
    still.sleep(DAY + 60)
    charge(alice, 20)
    assert expiry.expire_due() == 1
    assert money(alice) == (0, [("grant", 30), ("charge", -20), ("expiry", -10)])


def test_a_video_that_waits_keeps_its_credits_and_its_refund_gets_grace(alice: User, still: SetClock) -> None:
    give(alice, 60, days=1, clock=still)
    charge(alice, 60)
    still.sleep(2 * DAY)
    assert expiry.expire_due() == 0
    refund()
    assert money(alice) == (60, [("grant", 60), ("charge", -60), ("refund", 60)])
    still.sleep(7 * DAY)
    assert expiry.expire_due() == 1
    assert money(alice)[0] == 0


def test_a_run_takes_the_longest_overdue_first_and_no_more_than_it_is_told(alice: User, still: SetClock) -> None:
    later, first = give(alice, 2, days=2, clock=still), give(alice, 1, days=1, clock=still)
    still.sleep(3 * DAY)
    assert expiry.expire_due(limit=1) == 1
    assert left(first, later) == [0, 2]
    assert expiry.expire_due(limit=1) == 1
    assert money(alice) == (0, [("grant", 2), ("grant", 1), ("expiry", -1), ("expiry", -2)])


def test_one_broken_account_keeps_nobody_else_s_lots(alice: User, bob: User, still: SetClock) -> None:
    give(alice, 30, days=1, clock=still)
    give(bob, 5, days=2, clock=still)
    CreditAccount.objects.filter(user=alice).update(balance=29)
    still.sleep(3 * DAY)
    assert expiry.expire_due() == 1
    assert ledger.balance_of(alice) == 29
    assert ledger.balance_of(bob) == 0
    assert [entry.amount for entry in ledger.statement(bob)] == [-5, 5]


# Announcing


def test_a_week_before_and_a_day_before_a_mail_comes_once_each(alice: User, still: SetClock) -> None:
    give(alice, 30, days=30, clock=still)
    assert expiry.warn_due() == 0
    still.sleep(22.9 * DAY)
    assert expiry.warn_due() == 0
    still.sleep(0.2 * DAY)
    assert expiry.warn_due() == 1
    assert mails() == [(alice.email, "30 credits expire soon")]
    still.sleep(4 * DAY)
    charge(alice, 10)
    assert expiry.warn_due() == 0
    still.sleep(2 * DAY)
    assert [expiry.warn_due(), expiry.warn_due()] == [1, 0]
    assert mails() == [(alice.email, "20 credits expire soon")]
    still.sleep(DAY)
    assert expiry.warn_due() == 0
    assert money(alice) == (20, [("grant", 30), ("charge", -10)])


def test_the_mail_lists_every_lot_with_its_date_where_the_person_lives(alice: User, still: SetClock) -> None:
    User.objects.filter(pk=alice.pk).update(time_zone="Asia/Shanghai")
    give(alice, 30, days=9, clock=still)
    give(alice, 5, days=9, clock=still)
    give(alice, 1, days=8, clock=still)
    give(alice, 9, days=3, clock=still)
    still.sleep(2.5 * DAY)
    assert expiry.warn_due() == 1
    (message,) = outbox.outbox
    assert isinstance(message, EmailMultiAlternatives)
    assert message.subject == "45 credits expire soon"
    html = message.alternatives[0][0]
    for text in (str(message.body), str(html)):
        assert "4 Sep 2026, 20:00" in text
        assert "1 credit" in text
        assert "35 credits" in text
        assert "10 Sep 2026, 20:00" in text
        assert "/credits/" in text
    assert "1 credit until 9 Sep 2026, 20:00" in message.body
    assert money(alice)[0] == 45


def test_a_person_reads_it_in_their_language(alice: User, still: SetClock) -> None:
    User.objects.filter(pk=alice.pk).update(language="zh-hans")
    give(alice, 30, days=1, clock=still)
    assert expiry.warn_due() == 1
    (message,) = outbox.outbox
    assert isinstance(message, EmailMultiAlternatives)
    assert 'lang="zh-hans"' in str(message.alternatives[0][0])
    assert money(alice)[0] == 30


@pytest.mark.parametrize("days", [6, 7])
def test_credits_that_last_a_week_or_less_are_announced_only_the_day_before(
    alice: User, still: SetClock, days: int
) -> None:
    give(alice, 30, days=days, clock=still)
    assert expiry.warn_due() == 0
    still.sleep((days - 1) * DAY)
    assert expiry.warn_due() == 1
    assert money(alice)[0] == 30


def test_after_an_outage_the_last_day_is_announced_and_not_the_last_week(alice: User, still: SetClock) -> None:
    give(alice, 30, days=30, clock=still)
    still.sleep(29.5 * DAY)
    assert [expiry.warn_due(), expiry.warn_due()] == [1, 0]
    still.sleep(DAY)
    assert expiry.warn_due() == 0, "what is gone is not announced"
    assert money(alice)[0] == 30


def test_spent_credits_and_people_who_left_get_no_mail(alice: User, bob: User, olga: User, still: SetClock) -> None:
    give(alice, 30, days=1, clock=still)
    charge(alice, 30)
    give(bob, 30, days=1, clock=still)
    user_actions.close_account(user=bob, actor=None)
    give(olga, 30, days=1, clock=still)
    user_actions.disable(user=olga, actor=None)
    assert expiry.warn_due() == 0
    still.sleep(DAY)
    assert expiry.expire_due() == 2, "their books go on"
    assert outbox.outbox == []
    assert [ledger.balance_of(user) for user in (alice, bob, olga)] == [0, 0, 0]


def test_a_mail_server_that_is_away_is_asked_again_by_the_next_run(
    alice: User, bob: User, still: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(alice, 30, days=1, clock=still)
    give(alice, 5, days=5, clock=still)
    CreditLot.objects.filter(granted=5).update(created_at=still.at - timedelta(days=20))
    give(bob, 30, days=1, clock=still)
    asked = []

    def away(self: Any, *args: Any, **kwargs: Any) -> None:
        asked.append(self.to)
        raise SMTPServerDisconnected("gone")

    with monkeypatch.context() as patch:
        patch.setattr(EmailMultiAlternatives, "send", away)
        assert expiry.warn_due() == 0
    assert len(asked) == 1, "the others are not tried in vain"
    assert expiry.warn_due() == 2
    assert mails() == [
        (alice.email, "35 credits expire soon"), (bob.email, "30 credits expire soon")
    ]  # fmt: skip
    assert expiry.warn_due() == 0
    assert (money(alice)[0], money(bob)[0]) == (35, 30)


def test_an_address_that_is_refused_is_not_tried_again_and_holds_up_nobody(
    alice: User, bob: User, still: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(alice, 30, days=1, clock=still)
    give(bob, 30, days=1, clock=still)
    send = EmailMultiAlternatives.send

    def refused(self: Any, *args: Any, **kwargs: Any) -> int:
        if self.to == [alice.email]:
            raise SMTPRecipientsRefused({alice.email: (550, b"no such user")})
        return send(self)

    monkeypatch.setattr(EmailMultiAlternatives, "send", refused)
    assert [expiry.warn_due(), expiry.warn_due()] == [1, 0]
    assert mails() == [(bob.email, "30 credits expire soon")]
    assert (money(alice)[0], money(bob)[0]) == (30, 30)


def test_what_another_run_announced_meanwhile_is_left_to_it(
    alice: User, still: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(alice, 30, days=1, clock=still)
    claim = expiry._mark_announced

    def overtaken(user: User) -> Any:
        claim(user)
        return claim(user)

    monkeypatch.setattr(expiry, "_mark_announced", overtaken)
    assert expiry.warn_due() == 0
    assert outbox.outbox == []
    assert money(alice)[0] == 30


# The bell, and the line on the pages


def test_the_bell_for_lots_rings_every_two_minutes(alice: User, still: SetClock) -> None:
    give(alice, 30, days=1, clock=still)
    still.sleep(DAY)
    assert "lots" in sweep.enqueue_due()
    worker_tasks.lots()
    assert money(alice)[0] == 0
    assert "lots" not in sweep.enqueue_due()
    still.sleep(121)
    assert "lots" in sweep.enqueue_due()


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_a_line_on_every_page_tells_what_expires_within_a_week_until_it_is_put_away(
    alice: User, still: SetClock
) -> None:
    give(alice, 100)
    page = browser(alice)
    assert "strip" not in page.get("/videos/").text
    give(alice, 30, days=5, clock=still)
    text = page.get("/videos/").text
    assert "<b>30 credits</b> expire on 6 Sep 12:00." in " ".join(text.split())
    give(alice, 12, days=6, clock=still)
    assert "42 credits</b> expire within a week, 30 of them on" in " ".join(page.get("/videos/").text.split())
    assert "strip" not in page.get("/credits/").text, "that page tells more"
    put_away = page.post("/credits/expiring/hide/", {"next": "/videos/?q=kite"})
    assert put_away["Location"] == "/videos/?q=kite"
    assert "strip" not in page.get("/videos/").text
    still.sleep(4.5 * DAY)
    text = page.get("/videos/").text
    assert "strip-warn" in text, "the last day is told again"
    assert page.post("/credits/expiring/hide/", {"next": "https://elsewhere.example/"})["Location"] == "/credits/"
    still.sleep(10 * DAY)
    assert page.post("/credits/expiring/hide/")["Location"] == "/credits/"
    assert "strip" not in page.get("/videos/").text
    assert money(alice)[0] == 142


def test_a_video_ordered_in_time_is_made_although_its_credits_would_have_expired(alice: User, still: SetClock) -> None:
    task = history.waiting(alice)
    CreditLot.objects.update(expires_at=still.at + timedelta(hours=1))
    still.sleep(2 * 3600)
    assert expiry.expire_due() == 0
    assert VideoTask.objects.get(pk=task.pk).status == VideoTask.Status.QUEUED
    assert money(alice) == (0, [("grant", 60), ("charge", -60)])

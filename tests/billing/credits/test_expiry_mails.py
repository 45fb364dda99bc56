"""Mails about credits that expire soon: a week before and a day before, once each."""

from datetime import timedelta
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected
from typing import Any

import pytest
from django.core import mail as outbox
from django.core.mail import EmailMultiAlternatives

from accounts import user_actions
from accounts.models import User
from billing.credits import expired_lots, ledger
from billing.models import CreditLot
from tests.billing.credits.test_lots import balance_and_entries, charge, grant_lot
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db


DAY = 86400


def take_sent_mails() -> list[tuple[str, str]]:
    """Recipient and subject of each sent mail; empties the outbox."""
    sent = [(message.to[0], str(message.subject)) for message in outbox.outbox]
    outbox.outbox.clear()
    return sent


def test_one_mail_is_sent_a_week_before_and_one_a_day_before(alice: User, manual_clock: ManualClock) -> None:
    grant_lot(alice, 30, days=30, clock=manual_clock)
    assert expired_lots.warn_due() == 0
    manual_clock.sleep(22.9 * DAY)
    assert expired_lots.warn_due() == 0
    manual_clock.sleep(0.2 * DAY)
    assert expired_lots.warn_due() == 1
    assert take_sent_mails() == [(alice.email, "30 credits expire soon")]
    manual_clock.sleep(4 * DAY)
    charge(alice, 10)
    assert expired_lots.warn_due() == 0
    manual_clock.sleep(2 * DAY)
    assert [expired_lots.warn_due(), expired_lots.warn_due()] == [1, 0]
    assert take_sent_mails() == [(alice.email, "20 credits expire soon")]
    manual_clock.sleep(DAY)
    assert expired_lots.warn_due() == 0
    assert balance_and_entries(alice) == (20, [("grant", 30), ("charge", -10)])


def test_the_mail_lists_every_lot_with_its_expiry_in_the_user_s_zone(alice: User, manual_clock: ManualClock) -> None:
    User.objects.filter(pk=alice.pk).update(time_zone="Asia/Shanghai")
    grant_lot(alice, 30, days=9, clock=manual_clock)
    grant_lot(alice, 5, days=9, clock=manual_clock)
    grant_lot(alice, 1, days=8, clock=manual_clock)
    grant_lot(alice, 9, days=3, clock=manual_clock)
    manual_clock.sleep(2.5 * DAY)
    assert expired_lots.warn_due() == 1
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
    assert balance_and_entries(alice)[0] == 45


def test_the_mail_is_in_the_user_s_language(alice: User, manual_clock: ManualClock) -> None:
    User.objects.filter(pk=alice.pk).update(language="zh-hans")
    grant_lot(alice, 30, days=1, clock=manual_clock)
    assert expired_lots.warn_due() == 1
    (message,) = outbox.outbox
    assert isinstance(message, EmailMultiAlternatives)
    assert 'lang="zh-hans"' in str(message.alternatives[0][0])
    assert balance_and_entries(alice)[0] == 30


@pytest.mark.parametrize("days", [6, 7])
def test_credits_that_last_a_week_or_less_are_announced_only_the_day_before(
    alice: User, manual_clock: ManualClock, days: int
) -> None:
    grant_lot(alice, 30, days=days, clock=manual_clock)
    assert expired_lots.warn_due() == 0
    manual_clock.sleep((days - 1) * DAY)
    assert expired_lots.warn_due() == 1
    assert balance_and_entries(alice)[0] == 30


def test_after_an_outage_only_the_last_day_is_announced(alice: User, manual_clock: ManualClock) -> None:
    grant_lot(alice, 30, days=30, clock=manual_clock)
    manual_clock.sleep(29.5 * DAY)
    assert [expired_lots.warn_due(), expired_lots.warn_due()] == [1, 0]
    manual_clock.sleep(DAY)
    assert expired_lots.warn_due() == 0, "expired credits are not announced"
    assert balance_and_entries(alice)[0] == 30


def test_spent_credits_and_closed_accounts_cause_no_mail(
    alice: User, bob: User, olga: User, manual_clock: ManualClock
) -> None:
    grant_lot(alice, 30, days=1, clock=manual_clock)
    charge(alice, 30)
    grant_lot(bob, 30, days=1, clock=manual_clock)
    user_actions.close_account(user=bob, actor=None)
    grant_lot(olga, 30, days=1, clock=manual_clock)
    user_actions.disable(user=olga, actor=None)
    assert expired_lots.warn_due() == 0
    manual_clock.sleep(DAY)
    assert expired_lots.expire_due() == 2, "lots of closed accounts still expire"
    assert outbox.outbox == []
    assert [ledger.balance_of(user) for user in (alice, bob, olga)] == [0, 0, 0]


def test_mails_are_sent_by_the_next_run_after_a_mail_server_outage(
    alice: User, bob: User, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant_lot(alice, 30, days=1, clock=manual_clock)
    grant_lot(alice, 5, days=5, clock=manual_clock)
    CreditLot.objects.filter(granted=5).update(created_at=manual_clock.at - timedelta(days=20))
    grant_lot(bob, 30, days=1, clock=manual_clock)
    attempts = []

    def disconnect(self: Any, *args: Any, **kwargs: Any) -> None:
        attempts.append(self.to)
        raise SMTPServerDisconnected("gone")

    with monkeypatch.context() as patch:
        patch.setattr(EmailMultiAlternatives, "send", disconnect)
        assert expired_lots.warn_due() == 0
    assert len(attempts) == 1, "the run ends after the first failure"
    assert expired_lots.warn_due() == 2
    assert take_sent_mails() == [
        (alice.email, "35 credits expire soon"), (bob.email, "30 credits expire soon")
    ]  # fmt: skip
    assert expired_lots.warn_due() == 0
    assert (balance_and_entries(alice)[0], balance_and_entries(bob)[0]) == (35, 30)


def test_a_refused_address_is_not_tried_again_and_delays_no_other_mail(
    alice: User, bob: User, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant_lot(alice, 30, days=1, clock=manual_clock)
    grant_lot(bob, 30, days=1, clock=manual_clock)
    send = EmailMultiAlternatives.send

    def refuse_alice(self: Any, *args: Any, **kwargs: Any) -> int:
        if self.to == [alice.email]:
            raise SMTPRecipientsRefused({alice.email: (550, b"no such user")})
        return send(self)

    monkeypatch.setattr(EmailMultiAlternatives, "send", refuse_alice)
    assert [expired_lots.warn_due(), expired_lots.warn_due()] == [1, 0]
    assert take_sent_mails() == [(bob.email, "30 credits expire soon")]
    assert (balance_and_entries(alice)[0], balance_and_entries(bob)[0]) == (30, 30)


def test_lots_announced_by_another_run_are_skipped(
    alice: User, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant_lot(alice, 30, days=1, clock=manual_clock)
    mark = expired_lots._mark_announced

    def mark_twice(user: User) -> Any:
        mark(user)
        return mark(user)

    monkeypatch.setattr(expired_lots, "_mark_announced", mark_twice)
    assert expired_lots.warn_due() == 0
    assert outbox.outbox == []
    assert balance_and_entries(alice)[0] == 30

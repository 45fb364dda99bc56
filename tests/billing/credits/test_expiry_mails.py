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
from tests.billing.credits.test_lots import charge, give, money
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db


DAY = 86400


def mails() -> list[tuple[str, str]]:
    """To whom and with which subject, then forget them."""
    sent = [(message.to[0], str(message.subject)) for message in outbox.outbox]
    outbox.outbox.clear()
    return sent


def test_one_mail_is_sent_a_week_before_and_one_a_day_before(alice: User, manual_clock: ManualClock) -> None:
    give(alice, 30, days=30, clock=manual_clock)
    assert expired_lots.warn_due() == 0
    manual_clock.sleep(22.9 * DAY)
    assert expired_lots.warn_due() == 0
    manual_clock.sleep(0.2 * DAY)
    assert expired_lots.warn_due() == 1
    assert mails() == [(alice.email, "30 credits expire soon")]
    manual_clock.sleep(4 * DAY)
    charge(alice, 10)
    assert expired_lots.warn_due() == 0
    manual_clock.sleep(2 * DAY)
    assert [expired_lots.warn_due(), expired_lots.warn_due()] == [1, 0]
    assert mails() == [(alice.email, "20 credits expire soon")]
    manual_clock.sleep(DAY)
    assert expired_lots.warn_due() == 0
    assert money(alice) == (20, [("grant", 30), ("charge", -10)])


def test_the_mail_lists_every_lot_with_its_expiry_in_the_user_s_zone(alice: User, manual_clock: ManualClock) -> None:
    User.objects.filter(pk=alice.pk).update(time_zone="Asia/Shanghai")
    give(alice, 30, days=9, clock=manual_clock)
    give(alice, 5, days=9, clock=manual_clock)
    give(alice, 1, days=8, clock=manual_clock)
    give(alice, 9, days=3, clock=manual_clock)
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
    assert money(alice)[0] == 45


def test_the_mail_is_in_the_user_s_language(alice: User, manual_clock: ManualClock) -> None:
    User.objects.filter(pk=alice.pk).update(language="zh-hans")
    give(alice, 30, days=1, clock=manual_clock)
    assert expired_lots.warn_due() == 1
    (message,) = outbox.outbox
    assert isinstance(message, EmailMultiAlternatives)
    assert 'lang="zh-hans"' in str(message.alternatives[0][0])
    assert money(alice)[0] == 30


@pytest.mark.parametrize("days", [6, 7])
def test_credits_that_last_a_week_or_less_are_announced_only_the_day_before(
    alice: User, manual_clock: ManualClock, days: int
) -> None:
    give(alice, 30, days=days, clock=manual_clock)
    assert expired_lots.warn_due() == 0
    manual_clock.sleep((days - 1) * DAY)
    assert expired_lots.warn_due() == 1
    assert money(alice)[0] == 30


def test_after_an_outage_only_the_last_day_is_announced(alice: User, manual_clock: ManualClock) -> None:
    give(alice, 30, days=30, clock=manual_clock)
    manual_clock.sleep(29.5 * DAY)
    assert [expired_lots.warn_due(), expired_lots.warn_due()] == [1, 0]
    manual_clock.sleep(DAY)
    assert expired_lots.warn_due() == 0, "what is gone is not announced"
    assert money(alice)[0] == 30


def test_spent_credits_and_closed_accounts_cause_no_mail(
    alice: User, bob: User, olga: User, manual_clock: ManualClock
) -> None:
    give(alice, 30, days=1, clock=manual_clock)
    charge(alice, 30)
    give(bob, 30, days=1, clock=manual_clock)
    user_actions.close_account(user=bob, actor=None)
    give(olga, 30, days=1, clock=manual_clock)
    user_actions.disable(user=olga, actor=None)
    assert expired_lots.warn_due() == 0
    manual_clock.sleep(DAY)
    assert expired_lots.expire_due() == 2, "their books go on"
    assert outbox.outbox == []
    assert [ledger.balance_of(user) for user in (alice, bob, olga)] == [0, 0, 0]


def test_mails_are_sent_by_the_next_run_after_a_mail_server_outage(
    alice: User, bob: User, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(alice, 30, days=1, clock=manual_clock)
    give(alice, 5, days=5, clock=manual_clock)
    CreditLot.objects.filter(granted=5).update(created_at=manual_clock.at - timedelta(days=20))
    give(bob, 30, days=1, clock=manual_clock)
    asked = []

    def away(self: Any, *args: Any, **kwargs: Any) -> None:
        asked.append(self.to)
        raise SMTPServerDisconnected("gone")

    with monkeypatch.context() as patch:
        patch.setattr(EmailMultiAlternatives, "send", away)
        assert expired_lots.warn_due() == 0
    assert len(asked) == 1, "the others are not tried in vain"
    assert expired_lots.warn_due() == 2
    assert mails() == [
        (alice.email, "35 credits expire soon"), (bob.email, "30 credits expire soon")
    ]  # fmt: skip
    assert expired_lots.warn_due() == 0
    assert (money(alice)[0], money(bob)[0]) == (35, 30)


def test_a_refused_address_is_not_tried_again_and_delays_no_other_mail(
    alice: User, bob: User, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(alice, 30, days=1, clock=manual_clock)
    give(bob, 30, days=1, clock=manual_clock)
    send = EmailMultiAlternatives.send

    def refused(self: Any, *args: Any, **kwargs: Any) -> int:
        if self.to == [alice.email]:
            raise SMTPRecipientsRefused({alice.email: (550, b"no such user")})
        return send(self)

    monkeypatch.setattr(EmailMultiAlternatives, "send", refused)
    assert [expired_lots.warn_due(), expired_lots.warn_due()] == [1, 0]
    assert mails() == [(bob.email, "30 credits expire soon")]
    assert (money(alice)[0], money(bob)[0]) == (30, 30)


def test_lots_announced_by_another_run_are_skipped(
    alice: User, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(alice, 30, days=1, clock=manual_clock)
    claim = expired_lots._mark_announced

    def overtaken(user: User) -> Any:
        claim(user)
        return claim(user)

    monkeypatch.setattr(expired_lots, "_mark_announced", overtaken)
    assert expired_lots.warn_due() == 0
    assert outbox.outbox == []
    assert money(alice)[0] == 30

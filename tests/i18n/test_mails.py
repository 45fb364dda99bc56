"""E-mails contain no English text for a Chinese reader."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.core import mail as outbox
from django.core.mail import EmailMultiAlternatives

from accounts.mail import sending as mail
from accounts.mail.security_notices import NOTICES
from accounts.models import User
from accounts.seams import clock
from billing.alerts import services as alerts
from billing.credits.lots import Holding
from billing.models import Alert, AlertDelivery
from tests.i18n import catalogue
from tests.i18n.english import find_english, find_english_in_texts
from tests.i18n.test_pages import PROMPT
from tests.videos import video_states
from videos.notifications import alert_delivery, daily_summary
from videos.presentation.timeline import explain_failure

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_media")]


def list_mails(user: User) -> Iterator[tuple[str, dict[str, object]]]:
    """Every e-mail template with values for it."""
    request_values = {
        "ip": "192.0.2.1",
        "user_agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0",
        "timestamp": datetime.now(UTC),
    }
    addresses = {"to_email": "a@example.com", "from_email": "b@example.com", "deleted_email": "c@example.com"}
    for notice in NOTICES.values():
        yield "notice", {**request_values, **addresses, "notice": notice}
    for name in ("email_confirmation", "password_reset_code"):
        yield name, {"code": "ABCD-EFGH"}
    for name in ("account_already_exists", "unknown_account"):
        yield name, {"email": "a@example.com"}
    yield "video_ready", {"task": video_states.make_ready(user, PROMPT)}
    failed = video_states.make_refused(user, PROMPT)
    yield "video_failed", {"task": failed, "failure": explain_failure(failed)}
    item = build_item(alerts.raise_alert(alerts.Kind.STORAGE, cause=""))
    resolved_item = build_item(alerts.raise_alert(alerts.Kind.BUDGET_SOFT, cause="all:day"))
    yield "alert", {"item": item}
    yield "alert", {"item": {**item, "is_repeated": True}}
    yield "alert_resolved", {"item": {**resolved_item, "is_resolved": True}}
    yield "alerts", {"items": [item, resolved_item]}
    yield "daily_summary", daily_summary.template_values(date(2026, 9, 1))
    yield "daily_summary", daily_summary.template_values(clock.now().date())
    holdings = [Holding(50, clock.now() + timedelta(days=days), is_grace=False) for days in (2, 6)]
    yield "credits_expire", {"holdings": holdings, "total": 100}


def build_item(alert: Alert) -> dict[str, object]:
    """The template values of an alert that was raised, resolved and raised again."""
    Alert.objects.filter(pk=alert.pk).update(reopened_at=clock.now(), resolved_at=clock.now(), count=3)
    alert.refresh_from_db()
    return alert_delivery.build_item(AlertDelivery(alert=alert))


def test_every_e_mail_is_in_chinese(chinese_user: User) -> None:
    sent = set()
    for name, values in list_mails(chinese_user):
        mail.send(chinese_user, name, values)
        message = outbox.outbox[-1]
        assert isinstance(message, EmailMultiAlternatives)
        page, _ = message.alternatives[0]
        assert find_english(str(page)) | find_english_in_texts([str(message.subject), str(message.body)]) == set(), name
        sent.add(name)
    folder = Path(catalogue.ROOT, "templates", "mail")
    assert sent == {path.name.removesuffix(".subject.txt") for path in folder.glob("*.subject.txt")}


def test_a_long_prompt_without_spaces_is_cut_in_the_subject(chinese_user: User) -> None:
    mail.send(chinese_user, "video_ready", {"task": video_states.make_ready(chinese_user, "灯塔与长浪" * 300)})
    assert len(outbox.outbox[-1].subject) < 80

"""The text of alerts: in the language, number format and time zone of the reader."""

from zoneinfo import ZoneInfo

import pytest
from django.core import mail as outbox
from django.test import Client
from django.utils import timezone, translation
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.alerts import messages as alert_messages
from billing.alerts import services as alerts
from billing.models import (
    Alert,
    AlertDelivery,
    ProviderAccount,
)
from billing.provider import accounts as provider_accounts
from tests.billing.alerts.triggers import TRIGGERS, Fixtures, order_in_this_hour, read_balance
from tests.clocks import ManualClock
from tests.i18n.english import find_english_in_texts
from tests.videos.conftest import own_media
from videos.notifications import alert_delivery
from videos.storage import media_store

__all__ = ["own_media"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_media")]
Kind = Alert.Kind

# At 12:30 UTC it is 21:30 in Tokyo.
TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.fixture
def fixtures(manual_clock: ManualClock, alice: User, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Fixtures:
    settings.TIME_ZONE = "UTC"
    manual_clock.sleep(30 * 60)
    return Fixtures(manual_clock, alice, settings, monkeypatch)


# Parts of the messages in English and in Chinese, with times in Tokyo.
EXPECTED = {
    "low_balance": ("800.5 provider credits", "服务商额度还剩 800.5；警告线为 1,000。"),
    "budget_hour": ("The next hour begins at 22:00.", "下一小时从 22:00 开始。"),
    "budget_day": ("4,000 of the day's 4,000 provider credits", "下一天从 9月2日"),
    "budget_month": ("Veo 3.1 Fast: 4,000 of the month's 4,000", "Veo 3.1 Fast："),
    "usual_hour": (
        "98,765 provider credits were ordered this hour; 1,200 are usual",
        "98,765 服务商额度，平时这个时段为 1,200",
    ),
    "failures": ("1,100 of the last 1,200 videos", "generation 1100"),
    "heals": ("It ends automatically at 22:30.", "将于 22:30 自动结束。"),
    "unexplained_worst": ("1,234 provider credits", "大部分是在 21:33 至 21:36 之间。"),
    "price_feed": ("1,200.5", "服务商的价格表为 1,200.5。"),
    "worker_silent": ("1,234 seconds", "1,234 秒"),
}


def format_in_tokyo(alert: Alert, language: str) -> str:
    with translation.override(language), timezone.override(TOKYO):
        return alert_messages.format_message_as_text(alert)


def test_every_sentence_has_a_trigger() -> None:
    assert set(TRIGGERS) == set(alert_messages.SENTENCES)


@pytest.mark.parametrize("name", alert_messages.SENTENCES)
def test_every_sentence_is_formatted_in_each_language_and_time_zone(fixtures: Fixtures, name: str) -> None:
    TRIGGERS[name](fixtures)
    alert = Alert.objects.get()
    assert name in alert.facts.get("say", [alert.kind])
    english, chinese = format_in_tokyo(alert, "en"), format_in_tokyo(alert, "zh-hans")
    assert "%(" not in english + chinese + alert.detail
    sentence = alert_messages.SENTENCES[name]
    fixed_parts = [part for part in str(sentence).replace(")s", "%(").split("%(")[::2] if part.strip(" .,;:()")]
    assert all(part.rstrip("(") in english for part in fixed_parts)
    assert all(part.rstrip("(") in alert.detail for part in fixed_parts)
    untranslated = str(alert.facts.get("words", "")) + alert.facts.get("reasons", "")
    assert find_english_in_texts([chinese]) <= find_english_in_texts([untranslated, alert.facts.get("account", "")]), (
        "not in Chinese"
    )
    for expected, text in zip(EXPECTED.get(name, ("", "")), (english, chinese), strict=True):
        assert expected in text
    assert untranslated.split("generation")[0] in chinese


def test_stored_text_is_english_and_in_utc(fixtures: Fixtures) -> None:
    with translation.override("zh-hans"), timezone.override(TOKYO):
        order_in_this_hour(fixtures, days_before=1)
    alert = Alert.objects.get()
    assert alert.detail.endswith("It ends automatically at 2026-09-01 13:30 UTC.")
    paused = ProviderAccount.objects.get()
    assert paused.pause_reason.startswith("98,765 provider credits were ordered this hour.")
    with translation.override("zh-hans"):
        assert provider_accounts.format_pause_note(paused).startswith("这一小时已下单 98,765 服务商额度。")
        assert provider_accounts.format_pause_reason(paused) == "支出比平时多，管理员正在查看"


@pytest.mark.parametrize(
    "facts",
    [
        {"say": ["unknown"]},
        {"say": ["low_balance"], "balance": "5"},
        {"say": 5},
        {"say": ["heals"], "until_at": "soon"},
        {"say": ["heals"], "until_at": None},
        {"say": ["failures"], "bar_share": "much"},
        {"say": ["budget_day"], "scope": "planet"},
        {"balance": "5"},
        ["odd"],
        {},
    ],
)
def test_facts_that_fit_no_sentence_show_the_detail(manual_clock: ManualClock, facts: object) -> None:
    alert = alerts.raise_alert(Kind.STORAGE, detail="the bucket does not answer")
    Alert.objects.update(facts=facts)
    alert.refresh_from_db()
    assert alert_messages.format_message(alert) == ("", "the bucket does not answer")
    assert alert_messages.format_message_as_text(alert) == "the bucket does not answer"


def test_the_newest_text_replaces_the_previous_one(manual_clock: ManualClock) -> None:
    alert = alerts.raise_alert(Kind.STORAGE, cause="media", facts=media_store.disk_full_facts())
    assert "is free on the disk" in alert_messages.format_message_as_text(alert)
    alert = alerts.raise_alert(Kind.STORAGE, cause="media", detail="ENOSPC")
    assert alert_messages.format_message_as_text(alert) == "ENOSPC"
    alert = alerts.raise_alert(Kind.STORAGE, cause="media", facts=media_store.disk_full_facts())
    alert = alerts.raise_alert(Kind.STORAGE, cause="media")
    assert "is free on the disk" in alert_messages.format_message_as_text(alert)
    assert alert.count == 4


def test_mails_are_in_the_reader_s_language_and_the_webhook_in_english(
    fixtures: Fixtures, staff: Client, olga: User
) -> None:
    olga.language, olga.time_zone = "zh-hans", "Asia/Tokyo"
    olga.save()
    read_balance("800.5")
    order_in_this_hour(fixtures, days_before=1)
    low, spend_alert = Alert.objects.get(kind="low_balance"), Alert.objects.get(kind="unusual_spend")
    for alert, text in ((low, "服务商额度还剩 800.5；警告线为 1,000。"), (spend_alert, "上限暂为")):
        delivery = AlertDelivery.objects.create(alert=alert, channel="email", address=olga.email)
        assert text in staff.get(f"/admin/billing/alert/{alert.pk}/change/").text
        assert text in staff.get("/admin/billing/alert/").text
        assert alert_delivery.mail_alert(delivery) == ""
        message = outbox.outbox[-1]
        assert text in message.body
        assert text in message.alternatives[0][0]  # type: ignore[attr-defined]
    assert "将于 22:30 自动结束。" in outbox.outbox[-1].body
    assert "98,765 服务商额度" in staff.get("/admin/").text
    data = alert_delivery.build_payload(delivery)["data"]
    assert data["detail"] == spend_alert.detail
    assert data["facts"] == spend_alert.facts

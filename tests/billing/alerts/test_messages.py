"""What alerts say of their own case: in the reader's language, with the reader's numbers and clock, whatever was kept."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core import mail as outbox
from django.test import Client
from django.utils import timezone, translation
from django.utils.module_loading import autodiscover_modules
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.seams import clock
from billing.alerts import messages as alert_messages
from billing.alerts import services as alerts
from billing.audit import runner as audit_runner
from billing.budgets import alerts as budget_alerts
from billing.budgets import limits
from billing.budgets import usage as budget_usage
from billing.common.formatting import format_percent
from billing.common.item_names import Item
from billing.costs import rollups, spend
from billing.guard import anomalies
from billing.guard.anomalies import RecentOutcomes
from billing.models import (
    Alert,
    AlertDelivery,
    BooksRun,
    Budget,
    BudgetWindow,
    DailySummary,
    Measure,
    Period,
    PriceProposal,
    ProviderAccount,
)
from billing.pricing import margins, prices, provider_price_changes
from billing.provider import accounts as provider_accounts
from billing.provider import balance_alerts
from billing.reconciliation import reconcile
from billing.reports import summary_schedule
from billing.templatetags.cost import percent
from tests.billing.conftest import SetClock
from tests.billing.purse import Purse
from tests.i18n.english import find_english_in_texts
from tests.jobs import job_id
from tests.people import give_credits
from tests.videos import video_states
from tests.videos.conftest import own_media
from videos.lifecycle import acts as lifecycle
from videos.notifications import alert_delivery
from videos.ordering import orders
from videos.pipeline import clients as provider_clients
from videos.pipeline import dispatch, polling
from videos.providers.base import Report, ReportState
from videos.storage import media_store
from videos.worker import supervisor, sweep

__all__ = ["own_media"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_media")]
Kind = Alert.Kind

ITEM = Item("veo3_fast", "720p", "generate")
# Half past nine in the evening of the first of September.
TOKYO = ZoneInfo("Asia/Tokyo")


@dataclass
class House:
    """What acts need."""

    still: SetClock
    user: User
    settings: Settings
    monkeypatch: pytest.MonkeyPatch


@pytest.fixture
def house(still: SetClock, alice: User, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> House:
    settings.TIME_ZONE = "UTC"
    still.sleep(30 * 60)
    return House(still, alice, settings, monkeypatch)


# What raises each


def balance(amount: str) -> None:
    balance_alerts.update_balance_alerts(provider_accounts.get_current_account(), Decimal(amount))


def no_key(house: House) -> None:
    house.settings.KIE_AI_API_KEY, house.settings.SANDBOX_ALLOWED = "", False
    dispatch.dispatch_due()


def key_trouble(house: House, key: str) -> None:
    """Asking for a video of an account whose key is gone, or such that no header can carry it."""
    account = ProviderAccount.objects.create(
        source="environment", label="kie.ai", key_fingerprint=provider_accounts.fingerprint(key)
    )
    house.settings.KIE_AI_API_KEY = key
    with pytest.raises(provider_accounts.NoProviderKey) as problem:
        provider_clients.client_for(account)
    alerts.raise_alert(Kind.ACCESS_DENIED, cause=account.cause, facts=problem.value.facts)


def gone_key(house: House) -> None:
    account = ProviderAccount.objects.create(source="environment", label="kie.ai", key_fingerprint="x")
    with pytest.raises(provider_accounts.NoProviderKey) as problem:
        provider_clients.client_for(account)
    alerts.raise_alert(Kind.ACCESS_DENIED, cause=account.cause, facts=problem.value.facts)


def budget(period: Period, *, subject: str = Budget.Subject.ALL, **whose: Any) -> None:
    limits.set_limit(subject=subject, period=period, limit=Decimal(4000), actor=None, **whose)
    (state,) = [one for one in budget_usage.list_states(clock.now()) if one.source == "admin"]
    BudgetWindow.objects.create(
        scope=state.scope, period=period, starts_at=state.window.starts_at, ends_at=state.window.ends_at, used=4000
    )
    budget_alerts.raise_spent_alert(state)


def look(ended: RecentOutcomes | None = None) -> None:
    anomalies.check_anomalies(
        account_id=provider_accounts.get_current_account().pk,
        outcomes_since=lambda since: ended or RecentOutcomes(0, {}),
    )


def an_hour(house: House, *, days_before: int) -> None:
    for day in range(days_before + 1):
        rollups.record_counts(
            ordered_at=house.still.at - timedelta(days=day),
            model="veo3_fast",
            user_id=1,
            counts=[(Measure.ORDERED, 1), (Measure.ESTIMATED, Decimal(1200 if day else 98_765))],
        )
    look()


def waiting_for_a_person(house: House) -> None:
    house.settings.UNUSUAL_PAUSE_MINUTES = 0
    an_hour(house, days_before=0)


def burst(house: House) -> None:
    house.settings.UNUSUAL_USER_BURST = 1
    quote = prices.get_quote(model="veo3_fast", resolution="720p")
    for n in range(2):
        spend.estimate(job_id=job_id(f"job:{n}"), user=house.user, quote=quote)
    look()


def gone(house: House, *, answered: bool = False) -> None:
    purse = Purse(house.still, house.user, 12_345)
    purse.read()
    purse.balance -= 0 if answered else 1234
    purse.read()
    if answered:
        reconcile.record_correction(
            account_id=purse.account.pk,
            amount=Decimal(1234),
            reason="to nothing",
            actor=house.user,
            idempotency_key="6a1f5c3e-0000-4000-8000-000000000001",
            happened_at=house.still.at,
        )
    reconcile.update_unexplained(purse.account)


def dearer(source: PriceProposal.Source) -> None:
    provider_price_changes.propose_price(item=ITEM, listed=Decimal(1000), seen=Decimal("1200.5"), source=source)


def loss() -> None:
    provider_price_changes.set_price(item=ITEM, provider_credits=Decimal(2000), user_credits=1000)
    margins.update_margin_alerts()


def broken_books(house: House) -> None:
    # Before: whoever registers while ours stand in is lost with them.
    autodiscover_modules("audit.checks")
    house.monkeypatch.setattr(
        audit_runner, "_checks", {"one": lambda *, deep: [audit_runner.Problem("I1", "user:5", "odd")]}
    )
    audit_runner.find_problems()


def late_books(*, looked: bool) -> None:
    if looked:
        BooksRun.objects.create(took_s=1, problems=0)
    audit_runner.raise_late_alert()


def restarted(house: House, *, after_s: int | None) -> None:
    mine = supervisor.Supervisor()
    house.monkeypatch.setattr(supervisor, "close_old_connections", lambda: None)
    mine.stopping = True
    house.monkeypatch.setattr(supervisor, "RESTART_PAUSE_S", 0)
    house.monkeypatch.setattr(mine, "_silent_for_s", lambda: after_s or 0)
    house.monkeypatch.setattr(sweep, "enqueue_due", lambda: None)
    if after_s:
        house.monkeypatch.setattr(mine, "cluster", type("Cluster", (), {"poll": lambda self: None})())
        house.monkeypatch.setattr(mine, "_stop_cluster", lambda **how: None)
    mine._check()


def full_disk(house: House) -> None:
    house.monkeypatch.setattr(media_store, "has_free_space", lambda: False)
    give_credits(house.user, 100)
    with pytest.raises(orders.StorageFull):
        orders.create(user=house.user, order=orders.VideoOrder(prompt="A lighthouse"), idempotency_key="k")


def unreadable(house: House) -> None:
    task = video_states.make_ready(house.user)
    house.monkeypatch.setattr("videos.views.media.serve", _cannot_open)
    client = Client()
    client.force_login(house.user)
    assert client.get(f"/videos/{task.pk}/file").status_code == 404


def _cannot_open(*given: object) -> None:
    raise FileNotFoundError


def odd(house: House, state: ReportState) -> None:
    task = video_states.make_generating(house.user)
    polling.apply_report(task, Report(provider_task_id=task.pk.hex, state=state, oddities=["state 7"]))


def given_up(house: House, code: str, *, by_hand: bool = False) -> None:
    task = video_states.make_generating(house.user)
    actor = house.user if by_hand else None
    lifecycle.give_up(task_id=task.pk, from_=task.status, code=code, detail="FileGone: 404", actor=actor)


def told(kind: Alert.Kind, **facts: object) -> None:
    alerts.raise_alert(kind, facts=facts)


# Which sentence comes of which act. The last ones come of faults, in tests of videos.
ACTS: dict[str, Callable[[House], None]] = {
    "low_balance": lambda house: balance("800.5"),
    "critical_balance": lambda house: balance("12"),
    "no_key": no_key,
    "key_gone": gone_key,
    "key_unusable": lambda house: key_trouble(house, "a key\n"),
    "budget_hour": lambda house: budget(Period.HOUR),
    "budget_day": lambda house: budget(Period.DAY, subject="user", user=house.user),
    "budget_month": lambda house: budget(Period.MONTH, subject="model", model="veo3_fast"),
    "usual_hour": lambda house: an_hour(house, days_before=14),
    "young_hour": lambda house: an_hour(house, days_before=1),
    "failures": lambda house: look(RecentOutcomes(1200, {"generation": 1100})),
    "burst": burst,
    "heals": lambda house: an_hour(house, days_before=0),
    "waits": waiting_for_a_person,
    "unexplained_spend": lambda house: gone(house, answered=True),
    "unexplained_worst": gone,
    "price_reported": lambda house: dearer(PriceProposal.Source.REPORTED),
    "price_feed": lambda house: dearer(PriceProposal.Source.FEED),
    "negative_margin": lambda house: loss(),
    "books": broken_books,
    "books_late": lambda house: late_books(looked=True),
    "books_never": lambda house: late_books(looked=False),
    "worker_ended": lambda house: restarted(house, after_s=None),
    "worker_silent": lambda house: restarted(house, after_s=1234),
    "no_room": full_disk,
    "unreadable": unreadable,
    "odd_no_file": lambda house: odd(house, ReportState.SUCCEEDED),
    "odd_verdict": lambda house: odd(house, ReportState.UNCLEAR),
    "given_up_deadline": lambda house: given_up(house, "deadline"),
    "given_up_unconfirmed": lambda house: given_up(house, "unconfirmed"),
    "given_up_no_file": lambda house: given_up(house, "no_file"),
    "given_up_by_hand": lambda house: given_up(house, "operator", by_hand=True),
    "summary_unsent": lambda house: summary_schedule.record_failure(
        DailySummary(day=house.still.at.date(), attempts=summary_schedule.MAX_ATTEMPTS - 1), "it is away"
    ),
    "callbacks_dry": lambda house: told(Kind.CALLBACKS_DRY, say=["callbacks_dry"], polled=38, verdicts=40),
    "callbacks_private": lambda house: told(Kind.CALLBACKS_DRY, say=["callbacks_private"], address="http://127.0.0.1"),
    "callbacks_never": lambda house: told(Kind.CALLBACKS_DRY, say=["callbacks_never"], address="https://127.1"),
    "callbacks_ended": lambda house: told(
        Kind.CALLBACKS_DRY, say=["callbacks_ended"], address="https://127.1", called_at=house.still.at.isoformat()
    ),
    "many": lambda house: told(Kind.DELAYED, say=["many"], videos=1234),
    "download_failed": lambda house: told(Kind.UNDOWNLOADED, say=["download_failed"], attempts=3),
    "download_died": lambda house: told(Kind.UNDOWNLOADED, say=["download_died"], attempts=3),
    "download_lost": lambda house: told(Kind.UNDOWNLOADED, say=["download_lost"], attempts=9),
    "odd_callback": lambda house: told(Kind.ODD_ANSWER, say=["odd_callback"], words="another task has it"),
}
# Some of what is said, in English and in Chinese, in Tokyo.
SAID = {
    "low_balance": ("800.5 provider credits", "服务商额度还剩 800.5；警告线为 1,000。"),
    "budget_hour": ("The next hour begins at 22:00.", "下一小时从 22:00 开始。"),
    "budget_day": ("4,000 of the day's 4,000 provider credits", "下一天从 9月2日"),
    "budget_month": ("Veo 3.1 Fast: 4,000 of the month's 4,000", "Veo 3.1 Fast："),
    "usual_hour": (
        "98,765 provider credits were ordered this hour, where 1,200",
        "98,765 服务商额度，平时这个时段为 1,200",
    ),
    "failures": ("1,100 of the last 1,200 videos", "generation 1100"),
    "heals": ("It ends by itself at 22:30.", "将于 22:30 自动结束。"),
    "unexplained_worst": ("1,234 provider credits", "大部分是在 21:33 至 21:36 之间。"),
    "price_feed": ("1,200.5", "服务商的价格表为 1,200.5。"),
    "worker_silent": ("1,234 seconds", "1,234 秒"),
}


def in_tokyo(alert: Alert, language: str) -> str:
    with translation.override(language), timezone.override(TOKYO):
        return alert_messages.format_detail(alert)


def test_every_sentence_has_an_act() -> None:
    assert set(ACTS) == set(alert_messages.SENTENCES)


@pytest.mark.parametrize("name", alert_messages.SENTENCES)
def test_what_is_told_reads_well_in_each_language_and_zone(house: House, name: str) -> None:
    ACTS[name](house)
    alert = Alert.objects.get()
    assert name in alert.facts.get("say", [alert.kind])
    english, chinese = in_tokyo(alert, "en"), in_tokyo(alert, "zh-hans")
    assert "%(" not in english + chinese + alert.detail
    ours = alert_messages.SENTENCES[name]
    fixed = [part for part in str(ours).replace(")s", "%(").split("%(")[::2] if part.strip(" .,;:()")]
    assert all(part.rstrip("(") in english for part in fixed)
    assert all(part.rstrip("(") in alert.detail for part in fixed)
    words = str(alert.facts.get("words", "")) + alert.facts.get("reasons", "")
    assert find_english_in_texts([chinese]) <= find_english_in_texts([words, alert.facts.get("account", "")]), (
        "not in Chinese"
    )
    for said, text in zip(SAID.get(name, ("", "")), (english, chinese), strict=True):
        assert said in text
    assert words.split("generation")[0] in chinese


def test_what_machines_read_is_english_and_in_utc(house: House) -> None:
    with translation.override("zh-hans"), timezone.override(TOKYO):
        an_hour(house, days_before=1)
    alert = Alert.objects.get()
    assert alert.detail.endswith("It ends by itself at 2026-09-01 13:30 UTC.")
    paused = ProviderAccount.objects.get()
    assert paused.pause_reason.startswith("98,765 provider credits were ordered this hour.")
    with translation.override("zh-hans"):
        assert provider_accounts.format_pause_note(paused).startswith("这一小时已下单 98,765 服务商额度。")
        assert provider_accounts.format_pause_reason(paused) == "支出比平时多，管理员正在查看"


@pytest.mark.parametrize(
    "facts",
    [
        {"say": ["never heard of"]},
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
def test_facts_that_fit_no_sentence_leave_what_was_told(still: SetClock, facts: object) -> None:
    alert = alerts.raise_alert(Kind.STORAGE, detail="the bucket does not answer")
    Alert.objects.update(facts=facts)
    alert.refresh_from_db()
    assert alert_messages.format_message(alert) == ("", "the bucket does not answer")
    assert alert_messages.format_detail(alert) == "the bucket does not answer"


def test_the_newest_words_count_whosever_they_are(still: SetClock) -> None:
    alert = alerts.raise_alert(Kind.STORAGE, cause="media", facts=media_store.disk_full_facts())
    assert "is free on the disk" in alert_messages.format_detail(alert)
    alert = alerts.raise_alert(Kind.STORAGE, cause="media", detail="ENOSPC")
    assert alert_messages.format_detail(alert) == "ENOSPC"
    alert = alerts.raise_alert(Kind.STORAGE, cause="media", facts=media_store.disk_full_facts())
    alert = alerts.raise_alert(Kind.STORAGE, cause="media")
    assert "is free on the disk" in alert_messages.format_detail(alert)
    assert alert.count == 4


def test_pages_and_mails_tell_it_in_chinese_and_the_webhook_in_english(house: House, desk: Client, olga: User) -> None:
    olga.language, olga.time_zone = "zh-hans", "Asia/Tokyo"
    olga.save()
    balance("800.5")
    an_hour(house, days_before=1)
    low, spend_alert = Alert.objects.get(kind="low_balance"), Alert.objects.get(kind="unusual_spend")
    for alert, words in ((low, "服务商额度还剩 800.5；警告线为 1,000。"), (spend_alert, "监控的停止线暂为")):
        delivery = AlertDelivery.objects.create(alert=alert, channel="email", address=olga.email)
        assert words in desk.get(f"/admin/billing/alert/{alert.pk}/change/").text
        assert words in desk.get("/admin/billing/alert/").text
        assert alert_delivery.mail_alert(delivery) == ""
        mail = outbox.outbox[-1]
        assert words in mail.body
        assert words in mail.alternatives[0][0]  # type: ignore[attr-defined]
    assert "将于 22:30 自动结束。" in outbox.outbox[-1].body
    assert "98,765 服务商额度" in desk.get("/admin/").text
    data = alert_delivery.build_payload(delivery)["data"]
    assert data["detail"] == spend_alert.detail
    assert data["facts"] == spend_alert.facts


# Shares


@pytest.mark.parametrize(
    ("share", "whole", "tenths"),
    [
        ("0", "0 %", "0 %"),
        ("0.0003", "<1 %", "<0.1 %"),
        ("0.003", "<1 %", "0.3 %"),
        ("0.3", "30 %", "30 %"),
        ("0.997", "99 %", "99.7 %"),
        ("0.9999", "99 %", "99.9 %"),
        ("1", "100 %", "100 %"),
        ("1.25", "125 %", "125 %"),
    ],
)
def test_what_has_begun_is_not_nothing_and_what_is_not_full_is_not_all(share: str, whole: str, tenths: str) -> None:
    assert format_percent(Decimal(share)) == whole
    assert percent(float(share)) == tenths

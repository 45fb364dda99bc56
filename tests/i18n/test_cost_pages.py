"""Pages about credits, limits and costs contain no English text for a Chinese reader."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import ApiToken, User
from accounts.seams import clock
from accounts.tokens import services as tokens
from billing.alerts import services as alerts
from billing.budgets import limits
from billing.common.item_names import Item
from billing.credits import ledger, vouchers
from billing.guard import user_holds
from billing.models import BooksRun, Budget, Period, PriceProposal, ProviderAccount, WatchTrip
from billing.pricing import provider_price_changes
from billing.provider import accounts as provider_accounts
from tests.billing import generated_history
from tests.billing.conftest import manual_clock
from tests.billing.simulated_provider import SimulatedProvider
from tests.clocks import ManualClock
from tests.i18n.english import CODE, UNTRANSLATED, find_english
from tests.i18n.test_pages import PROMPT
from tests.people import give_credits
from tests.videos import video_states

__all__ = ["manual_clock"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_media")]

FORM = {
    "key": "6a1f5c3e-0000-4000-8000-000000000001",
    "prompt": PROMPT,
    "mode": "text",
    "model": "veo3_fast",
    "duration_s": "8",
    "resolution": "720p",
    "aspect_ratio": "16:9",
}


def set_budget(amount: int, subject: str = Budget.Subject.ALL, **scope: object) -> None:
    limits.set_limit(subject=subject, period=Period.DAY, limit=Decimal(amount), actor=None, **scope)  # type: ignore[arg-type]


def pause_generation(**fields: object) -> None:
    provider_accounts.pause_account(account_id=provider_accounts.get_current_account().pk, actor=None, **fields)  # type: ignore[arg-type]


ORDER_STOPS: dict[str, tuple[Callable[[], None], str]] = {
    "a person's limit": (lambda: set_budget(70, Budget.Subject.EACH_USER), "个人用量已满"),
    "the limit of one video": (lambda: set_budget(40), "超过管理员允许的上限"),
    "a budget of zero": (lambda: set_budget(0), "上限低于任何一个视频的费用"),
    "a model's budget": (lambda: set_budget(70, Budget.Subject.MODEL, model="veo3_fast"), "这个模型的预算已用完"),
    "maintenance": (lambda: pause_generation(code=ProviderAccount.Pause.MAINTENANCE), "正在维护"),
    "unusual spend": (lambda: pause_generation(code=ProviderAccount.Pause.UNUSUAL_SPEND), "支出比平时多"),
}


@pytest.mark.parametrize("stop", ORDER_STOPS)
def test_reasons_that_stop_orders_are_in_chinese(chinese_client: Client, chinese_user: User, stop: str) -> None:
    apply_stop, expected = ORDER_STOPS[stop]
    give_credits(chinese_user, 1200)
    video_states.make_generating(chinese_user, PROMPT)
    apply_stop()
    page = chinese_client.get("/").text + chinese_client.get("/credits/").text + chinese_client.post("/", FORM).text
    assert expected in page
    assert find_english(page) == set()


def test_the_reason_of_a_hold_is_in_chinese(chinese_client: Client, chinese_user: User, olga: User) -> None:
    give_credits(chinese_user, 1200)
    pages = ""
    for fields in (
        {"code": user_holds.Code.BURST},
        {"code": user_holds.Code.OPERATOR, "reason": "请先联系我", "actor": olga},
    ):
        for until in (None, clock.now() + timedelta(days=1)):
            user_holds.hold(user=chinese_user, until=until, **fields)
            pages += chinese_client.get("/").text + chinese_client.post("/", FORM).text
    assert "管理员暂缓了你的新视频（请先联系我）" in pages
    assert "短时间内下单的视频异常多" in pages
    assert find_english(pages) == set()


def test_expiring_credits_and_vouchers_are_in_chinese(chinese_client: Client, chinese_user: User) -> None:
    for days in (2, 5, 60):
        expires_at = clock.now() + timedelta(days=days)
        ledger.grant(
            user=chinese_user, user_credits=30, idempotency_key=f"{days}", note="Welcome", expires_at=expires_at
        )
    page = chinese_client.get("/videos/").text
    assert "一周内到期" in page
    (code,) = vouchers.create_vouchers(user_credits=50, actor=None, credits_last_days=30)
    for entered_code in ("", "ABCD-EFGH", code.code, code.code):
        page += chinese_client.post("/credits/", {"code": entered_code}, follow=True).text
    page += chinese_client.get("/credits/?since=2026-02-02&until=2026-01-01").text
    assert "已到账 50 积分" in page
    assert find_english(page) == set()
    csv_text = b"".join(chinese_client.get("/credits/statement.csv").streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    assert csv_text.splitlines()[0] == "时间,类型,内容,积分,余额,有效期至,视频"


def test_pages_about_costs_are_in_chinese(
    operator: Client, chinese_user: User, olga: User, manual_clock: ManualClock, settings: Settings
) -> None:
    settings.HOURLY_COST_LIMIT = Decimal(100_000)
    account = generated_history.generate(at=manual_clock.at, days=7, a_day=30, users=[chinese_user, olga])
    provider = SimulatedProvider(manual_clock, chinese_user)
    for unexplained in (0, 0, 200):
        provider.run_job()
        provider.balance -= unexplained
        provider.read_balance(minutes=20)
    provider.send_job()
    problem = {"invariant": "I3", "reference": "video:1", "text": ""}
    BooksRun.objects.create(at=manual_clock.at, took_s=0.4, problems=2, first_problems=[problem])
    item = Item("veo3_fast", "720p", "video")
    provider_price_changes.propose_price(
        item=item, listed=Decimal(60), seen=Decimal(75), source=PriceProposal.Source.FEED
    )
    vouchers.create_vouchers(user_credits=50, actor=olga, number=2, credits_last_days=30)
    tokens.create_token(user=olga, name="监控", scopes=list(tokens.SCOPES))
    ApiToken.objects.update(prefix="veo_0")
    user_holds.hold(user=chinese_user, code=user_holds.Code.BURST)
    WatchTrip.objects.create(kind=WatchTrip.Kind.BURST, account=account, user=chinese_user, seen=20, usual=3)
    in_three_days = manual_clock.at + timedelta(days=3)
    ledger.grant(user=chinese_user, user_credits=30, idempotency_key="soon", note="x", expires_at=in_three_days)
    set_budget(5000)
    set_budget(100, Budget.Subject.USER, user=chinese_user)
    alert = alerts.raise_alert(alerts.Kind.STORAGE, cause="media")
    alerts.snooze(alert_id=alert.pk, actor=olga, until=in_three_days)
    addresses = [
        *(f"/admin/{query}" for query in ("", "?range=7d", "?range=year", "?from=x&to=2026-01-01")),
        "/admin/reconciliation/?stretch=week",
        *(f"/admin/billing/{name}/" for name in ("budget", "voucher", "creditlot", "userhold", "watchtrip")),
        *(f"/admin/billing/{name}/add/" for name in ("budget", "voucher", "provideraccount")),
        *(f"/admin/billing/{name}/" for name in ("priceproposal", "booksrun", "providerentry", "price", "voucheruse")),
        "/admin/accounts/apitoken/add/",
        f"/admin/billing/alert/{alert.pk}/change/",
        f"/admin/billing/provideraccount/{account.pk}/change/",
        f"/admin/accounts/user/{chinese_user.pk}/change/",
    ]
    english_texts = {address: find_english(operator.get(address).text) - UNTRANSLATED for address in addresses}
    assert "用文字或首尾帧生成视频" in operator.get("/admin/billing/spend/?kind=generate").text
    english_texts["tokens"] = (
        find_english(operator.get("/admin/accounts/apitoken/").text) - UNTRANSLATED - {*tokens.SCOPES}
    )
    for name, action, pk in (
        ("billing/provideraccount", "pause", account.pk),
        ("billing/priceproposal", "apply", PriceProposal.objects.get().pk),
        ("accounts/user", "hold_orders", chinese_user.pk),
    ):
        form = {"action": action, "_selected_action": [str(pk)]}
        english_texts[action] = find_english(operator.post(f"/admin/{name}/", form, follow=True).text) - UNTRANSLATED
    assert {(page, text) for page in english_texts for text in english_texts[page] if not CODE.fullmatch(text)} == set()

"""Budgets, holds, lots, vouchers, tokens and the operators' pages of costs, as a Chinese reader sees them."""

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
from tests.billing import weeks
from tests.billing.conftest import SetClock, still
from tests.billing.purse import Purse
from tests.i18n.test_pages import CODE, FOREIGN, PROMPT, desk, english_in, lin, reader
from tests.people import give_credits
from tests.videos import video_states

__all__ = ["desk", "lin", "reader", "still"]

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


def budget(amount: int, subject: str = Budget.Subject.ALL, **whose: object) -> None:
    limits.set_limit(subject=subject, period=Period.DAY, limit=Decimal(amount), actor=None, **whose)  # type: ignore[arg-type]


def pause(**words: object) -> None:
    provider_accounts.pause_account(account_id=provider_accounts.get_current_account().pk, actor=None, **words)  # type: ignore[arg-type]


STOPS: dict[str, tuple[Callable[[], None], str]] = {
    "a person's limit": (lambda: budget(70, Budget.Subject.EACH_USER), "个人用量已满"),
    "the limit of one video": (lambda: budget(40), "超过管理员允许的上限"),
    "a budget of nothing": (lambda: budget(0), "上限低于任何一个视频的费用"),
    "a model's budget": (lambda: budget(70, Budget.Subject.MODEL, model="veo3_fast"), "这个模型的预算已用完"),
    "maintenance": (lambda: pause(code=ProviderAccount.Pause.MAINTENANCE), "正在维护"),
    "unusual spend": (lambda: pause(code=ProviderAccount.Pause.UNUSUAL_SPEND), "支出比平时多"),
}


@pytest.mark.parametrize("stop", STOPS)
def test_who_may_not_order_reads_why_in_chinese(reader: Client, lin: User, stop: str) -> None:
    act, says = STOPS[stop]
    give_credits(lin, 1200)
    video_states.make_generating(lin, PROMPT)
    act()
    page = reader.get("/").text + reader.get("/credits/").text + reader.post("/", FORM).text
    assert says in page
    assert english_in(page) == set()


def test_who_is_held_reads_why_in_chinese(reader: Client, lin: User, olga: User) -> None:
    give_credits(lin, 1200)
    said = ""
    for words in (
        {"code": user_holds.Code.BURST},
        {"code": user_holds.Code.PERSON, "reason": "请先联系我", "actor": olga},
    ):
        for until in (None, clock.now() + timedelta(days=1)):
            user_holds.hold(user=lin, until=until, **words)
            said += reader.get("/").text + reader.post("/", FORM).text
    assert "管理员暂缓了你的新视频（请先联系我）" in said
    assert "短时间内下单的视频异常多" in said
    assert english_in(said) == set()


def test_credits_with_an_end_and_vouchers_are_told_in_chinese(reader: Client, lin: User) -> None:
    for days in (2, 5, 60):
        end = clock.now() + timedelta(days=days)
        ledger.grant(user=lin, user_credits=30, idempotency_key=f"{days}", note="Welcome", expires_at=end)
    page = reader.get("/videos/").text
    assert "一周内到期" in page
    (code,) = vouchers.create_vouchers(user_credits=50, actor=None, credits_last_days=30)
    for typed in ("", "ABCD-EFGH", code.code, code.code):
        page += reader.post("/credits/", {"code": typed}, follow=True).text
    page += reader.get("/credits/?since=2026-02-02&until=2026-01-01").text
    assert "50 积分归你了" in page
    assert english_in(page) == set()
    sheet = b"".join(reader.get("/credits/statement.csv").streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    assert sheet.splitlines()[0] == "时间,类型,内容,积分,余额,可用至,视频"


def test_operators_read_about_costs_in_chinese(
    desk: Client, lin: User, olga: User, still: SetClock, settings: Settings
) -> None:
    settings.HOURLY_COST_LIMIT = Decimal(100_000)
    account = weeks.make(at=still.at, days=7, a_day=30, users=[lin, olga])
    purse = Purse(still, lin)
    for stolen in (0, 0, 200):
        purse.job()
        purse.balance -= stolen
        purse.read(minutes=20)
    purse.send()
    problem = {"invariant": "I3", "reference": "video:1", "text": ""}
    BooksRun.objects.create(at=still.at, took_s=0.4, problems=2, first_problems=[problem])
    item = Item("veo3_fast", "720p", "video")
    provider_price_changes.propose_price(
        item=item, listed=Decimal(60), seen=Decimal(75), source=PriceProposal.Source.FEED
    )
    vouchers.create_vouchers(user_credits=50, actor=olga, number=2, credits_last_days=30)
    tokens.create_token(user=olga, name="监控", scopes=list(tokens.SCOPES))
    ApiToken.objects.update(prefix="veo_0")
    user_holds.hold(user=lin, code=user_holds.Code.BURST)
    WatchTrip.objects.create(kind=WatchTrip.Kind.BURST, account=account, user=lin, seen=20, usual=3)
    end = still.at + timedelta(days=3)
    ledger.grant(user=lin, user_credits=30, idempotency_key="soon", note="x", expires_at=end)
    budget(5000)
    budget(100, Budget.Subject.USER, user=lin)
    alert = alerts.raise_alert(alerts.Kind.STORAGE, cause="media")
    alerts.snooze(alert_id=alert.pk, actor=olga, until=end)
    addresses = [
        *(f"/admin/{query}" for query in ("", "?range=7d", "?range=year", "?from=x&to=2026-01-01")),
        "/admin/reconciliation/?stretch=week",
        *(f"/admin/billing/{name}/" for name in ("budget", "voucher", "creditlot", "userhold", "watchtrip")),
        *(f"/admin/billing/{name}/add/" for name in ("budget", "voucher", "provideraccount")),
        *(f"/admin/billing/{name}/" for name in ("priceproposal", "booksrun", "providerentry", "price", "voucheruse")),
        "/admin/accounts/apitoken/add/",
        f"/admin/billing/alert/{alert.pk}/change/",
        f"/admin/billing/provideraccount/{account.pk}/change/",
        f"/admin/accounts/user/{lin.pk}/change/",
    ]
    said = {address: english_in(desk.get(address).text) - FOREIGN for address in addresses}
    assert "用文字或首尾帧生成视频" in desk.get("/admin/billing/spend/?kind=generate").text
    said["tokens"] = english_in(desk.get("/admin/accounts/apitoken/").text) - FOREIGN - {*tokens.SCOPES}
    for name, action, pk in (
        ("billing/provideraccount", "pause", account.pk),
        ("billing/priceproposal", "apply", PriceProposal.objects.get().pk),
        ("accounts/user", "hold_orders", lin.pk),
    ):
        form = {"action": action, "_selected_action": [str(pk)]}
        said[action] = english_in(desk.post(f"/admin/{name}/", form, follow=True).text) - FOREIGN
    assert {(where, text) for where in said for text in said[where] if not CODE.fullmatch(text)} == set()

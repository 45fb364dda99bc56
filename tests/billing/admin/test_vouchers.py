"""Vouchers in the admin: created, downloaded as CSV, withdrawn and found."""

import csv
import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from billing.credits import ledger, vouchers
from billing.models import Voucher
from tests.billing.admin.pages import LEDGER, act, columns, journal
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db
VOUCHERS = "/admin/billing/voucher/"
USES = "/admin/billing/voucheruse/"


def make(desk: Client, **fields: Any) -> Any:
    form = {
        "number": 1,
        "user_credits": 50,
        "max_uses": 1,
        "last_day": "",
        "credits_last_days": "",
        "note": "",
        **fields,
    }
    return desk.post(f"{VOUCHERS}add/", form, follow=True)


def test_one_code_is_created_and_shown(desk: Client, olga: User, manual_clock: ManualClock) -> None:
    text = make(desk, user_credits=1500, max_uses=20, last_day="2026-09-30", credits_last_days=90, note="Fair").text
    one = Voucher.objects.get()
    assert "1 code created." in text
    assert columns(text, "code_") == [one.code]
    assert columns(text, "credits") == ["1,500"]
    assert columns(text, "used") == ["0 of 20"]
    assert columns(text, "until") == ["2026-09-30 23:59:59"]
    assert columns(text, "last") == ["90 days"]
    assert (one.created_by, one.note) == (olga, "Fair")
    assert journal() == ["1 vouchers for 1500 credits, 20 uses each"]


def test_fifty_codes_are_created_at_once_and_downloaded_as_csv(desk: Client, manual_clock: ManualClock) -> None:
    make(desk, note="older")
    manual_clock.sleep(1)
    answer = make(desk, number=50, note="=1+1", last_day="2026-09-30")
    assert "50 codes created. Copy or download them here." in answer.text
    assert len(columns(answer.text, "code_")) == 50
    address = re.search(r'href="(/admin/billing/voucher/sheet/\?[^"]*)"', answer.text)
    assert address
    sheet = desk.get(address[1].replace("&amp;", "&"))
    assert sheet["Content-Disposition"] == 'attachment; filename="vouchers-2026-09-01.csv"'
    rows = list(csv.reader(StringIO(b"".join(sheet).decode("utf-8-sig"))))
    assert rows[0] == ["Code", "Credits", "Uses", "Used", "Until", "Note"]
    assert len(rows) == 51
    assert {row[0] for row in rows[1:]} == set(Voucher.objects.filter(note="=1+1").values_list("code", flat=True))
    assert rows[1][1:] == ["50", "1", "0", "2026-09-30 23:59", "'=1+1"]
    older = csv.reader(StringIO(b"".join(desk.get(f"{VOUCHERS}sheet/?q=older")).decode("utf-8-sig")))
    assert [row[4:] for row in older] == [["Until", "Note"], ["", "older"]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": 0}, {"number": 1001}, {"user_credits": 0}, {"user_credits": ""}, {"max_uses": 0},
        {"last_day": "2026-08-31"}, {"last_day": "soon"}, {"credits_last_days": 0},
    ],
)  # fmt: skip
def test_invalid_vouchers_are_not_created(desk: Client, manual_clock: ManualClock, wrong: dict[str, Any]) -> None:
    assert "errorlist" in make(desk, **wrong).text
    assert not Voucher.objects.exists()


def test_a_voucher_is_withdrawn_after_asking_and_never_edited(desk: Client, alice: User) -> None:
    (one,) = vouchers.create_vouchers(user_credits=50, actor=None)
    assert "Users who redeemed one keep the credits." in act(desk, VOUCHERS, "withdraw", one)
    assert Voucher.objects.get().withdrawn_at is None
    assert "1 voucher withdrawn." in act(desk, VOUCHERS, "withdraw", one, confirmed="yes")
    assert Voucher.objects.get().withdrawn_at is not None
    assert "Choose 1 to 1000 vouchers" in act(desk, VOUCHERS, "withdraw", one, confirmed="yes")
    assert journal() == ["withdrawn"]
    assert desk.post(f"{VOUCHERS}{one.pk}/change/", {"user_credits": "9"}).status_code == 403
    assert desk.post(f"{VOUCHERS}{one.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_voucher_withdrawn_by_another_operator_is_not_logged_twice(
    desk: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = vouchers.create_vouchers(user_credits=50, actor=None)
    monkeypatch.setattr(vouchers, "withdraw", lambda voucher_id: False)
    act(desk, VOUCHERS, "withdraw", one, confirmed="yes")
    assert journal() == []


def test_codes_are_filtered_by_state_and_user(desk: Client, alice: User, bob: User, manual_clock: ManualClock) -> None:
    def one(note: str, **fields: Any) -> Voucher:
        return vouchers.create_vouchers(user_credits=50, actor=None, note=note, **fields)[0]

    one("usable")
    used, gone = one("used up"), one("withdrawn")
    one("over", valid_until=manual_clock.at)
    vouchers.redeem(user=alice, typed=used.code)
    vouchers.withdraw(voucher_id=gone.pk)
    states = {"usable": "Usable", "used_up": "Used up", "over": "Expired", "withdrawn": "Withdrawn"}
    for name, word in states.items():
        text = desk.get(VOUCHERS, {"state": name}).text
        assert columns(text, "note") == [name.replace("_", " ")]
        assert columns(text, "state") == [word]
    assert len(columns(desk.get(VOUCHERS, {"state": "odd"}, follow=True).text, "note")) == 4
    assert columns(desk.get(VOUCHERS, {"q": "alice@"}).text, "note") == ["used up"]
    page = desk.get(f"{VOUCHERS}{used.pk}/change/").text
    assert "alice@example.com" in page
    assert f"{USES}?voucher__id__exact={used.pk}" in page
    assert "Not used yet." in desk.get(f"{VOUCHERS}{gone.pk}/change/").text
    uses = desk.get(USES, {"voucher__id__exact": used.pk}).text
    assert (columns(uses, "code"), columns(uses, "credits"), columns(uses, "user_link")) == (
        [used.code], ["50"], ["alice@example.com"]
    )  # fmt: skip
    assert used.code in desk.get(f"{USES}{used.redemptions.get().pk}/change/").text
    assert f'href="{VOUCHERS}{used.pk}/change/"' in desk.get(LEDGER).text
    assert ledger.balance_of(alice) == 50


def test_a_viewer_cannot_create_or_withdraw_vouchers(clerk: Callable[..., Client]) -> None:
    (one,) = vouchers.create_vouchers(user_credits=50, actor=None)
    desk = clerk("view_voucher")
    assert desk.get(VOUCHERS).status_code == desk.get(f"{VOUCHERS}sheet/").status_code == 200
    assert make(desk).status_code == 403
    act(desk, VOUCHERS, "withdraw", one, confirmed="yes")
    assert Voucher.objects.get().withdrawn_at is None


def test_downloading_vouchers_needs_the_permission(clerk: Callable[..., Client]) -> None:
    desk = clerk("view_user")
    assert desk.get(VOUCHERS).status_code == 403
    assert desk.get(f"{VOUCHERS}sheet/").status_code == 403

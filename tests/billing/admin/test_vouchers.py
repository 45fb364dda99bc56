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
from tests.billing.admin.pages import LEDGER, list_cells, list_log_messages, run_action
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db
VOUCHERS = "/admin/billing/voucher/"
USES = "/admin/billing/voucheruse/"


def create_in_admin(staff: Client, **fields: Any) -> Any:
    form = {
        "number": 1,
        "user_credits": 50,
        "max_uses": 1,
        "last_day": "",
        "credits_last_days": "",
        "note": "",
        **fields,
    }
    return staff.post(f"{VOUCHERS}add/", form, follow=True)


def test_one_code_is_created_and_shown(staff: Client, olga: User, manual_clock: ManualClock) -> None:
    text = create_in_admin(
        staff, user_credits=1500, max_uses=20, last_day="2026-09-30", credits_last_days=90, note="Fair"
    ).text
    voucher = Voucher.objects.get()
    assert "1 code created." in text
    assert list_cells(text, "code_cell") == [voucher.code]
    assert list_cells(text, "credits") == ["1,500"]
    assert list_cells(text, "uses_of_max") == ["0 of 20"]
    assert list_cells(text, "until") == ["2026-09-30 23:59:59"]
    assert list_cells(text, "validity") == ["90 days"]
    assert (voucher.created_by, voucher.note) == (olga, "Fair")
    assert list_log_messages() == ["1 vouchers for 1500 credits, 20 uses each"]


def test_fifty_codes_are_created_at_once_and_downloaded_as_csv(staff: Client, manual_clock: ManualClock) -> None:
    create_in_admin(staff, note="older")
    manual_clock.sleep(1)
    response = create_in_admin(staff, number=50, note="=1+1", last_day="2026-09-30")
    assert "50 codes created. Copy or download them here." in response.text
    assert len(list_cells(response.text, "code_cell")) == 50
    csv_link = re.search(r'href="(/admin/billing/voucher/sheet/\?[^"]*)"', response.text)
    assert csv_link
    csv_response = staff.get(csv_link[1].replace("&amp;", "&"))
    assert csv_response["Content-Disposition"] == 'attachment; filename="vouchers-2026-09-01.csv"'
    rows = list(csv.reader(StringIO(b"".join(csv_response).decode("utf-8-sig"))))
    assert rows[0] == ["Code", "Credits", "Uses", "Used", "Until", "Note"]
    assert len(rows) == 51
    assert {row[0] for row in rows[1:]} == set(Voucher.objects.filter(note="=1+1").values_list("code", flat=True))
    assert rows[1][1:] == ["50", "1", "0", "2026-09-30 23:59", "'=1+1"]
    older = csv.reader(StringIO(b"".join(staff.get(f"{VOUCHERS}sheet/?q=older")).decode("utf-8-sig")))
    assert [row[4:] for row in older] == [["Until", "Note"], ["", "older"]]


@pytest.mark.parametrize(
    "invalid",
    [
        {"number": 0}, {"number": 1001}, {"user_credits": 0}, {"user_credits": ""}, {"max_uses": 0},
        {"last_day": "2026-08-31"}, {"last_day": "soon"}, {"credits_last_days": 0},
    ],
)  # fmt: skip
def test_invalid_vouchers_are_not_created(staff: Client, manual_clock: ManualClock, invalid: dict[str, Any]) -> None:
    assert "errorlist" in create_in_admin(staff, **invalid).text
    assert not Voucher.objects.exists()


def test_a_voucher_is_withdrawn_after_confirmation_and_never_edited(staff: Client, alice: User) -> None:
    (voucher,) = vouchers.create_vouchers(user_credits=50, actor=None)
    assert "Users who redeemed one keep the credits." in run_action(staff, VOUCHERS, "withdraw", voucher)
    assert Voucher.objects.get().withdrawn_at is None
    assert "1 voucher withdrawn." in run_action(staff, VOUCHERS, "withdraw", voucher, confirmed="yes")
    assert Voucher.objects.get().withdrawn_at is not None
    assert "Choose 1 to 1000 vouchers" in run_action(staff, VOUCHERS, "withdraw", voucher, confirmed="yes")
    assert list_log_messages() == ["withdrawn"]
    assert staff.post(f"{VOUCHERS}{voucher.pk}/change/", {"user_credits": "9"}).status_code == 403
    assert staff.post(f"{VOUCHERS}{voucher.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_voucher_withdrawn_by_another_operator_is_not_logged_twice(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    (voucher,) = vouchers.create_vouchers(user_credits=50, actor=None)
    monkeypatch.setattr(vouchers, "withdraw", lambda voucher_id: False)
    run_action(staff, VOUCHERS, "withdraw", voucher, confirmed="yes")
    assert list_log_messages() == []


def test_codes_are_filtered_by_state_and_user(staff: Client, alice: User, bob: User, manual_clock: ManualClock) -> None:
    def new_voucher(note: str, **fields: Any) -> Voucher:
        return vouchers.create_vouchers(user_credits=50, actor=None, note=note, **fields)[0]

    new_voucher("usable")
    used, withdrawn = new_voucher("used up"), new_voucher("withdrawn")
    new_voucher("expired", valid_until=manual_clock.at)
    vouchers.redeem(user=alice, typed=used.code)
    vouchers.withdraw(voucher_id=withdrawn.pk)
    states = {"usable": "Usable", "used_up": "Used up", "expired": "Expired", "withdrawn": "Withdrawn"}
    for name, label in states.items():
        text = staff.get(VOUCHERS, {"state": name}).text
        assert list_cells(text, "note") == [name.replace("_", " ")]
        assert list_cells(text, "state") == [label]
    assert len(list_cells(staff.get(VOUCHERS, {"state": "odd"}, follow=True).text, "note")) == 4
    assert list_cells(staff.get(VOUCHERS, {"q": "alice@"}).text, "note") == ["used up"]
    page = staff.get(f"{VOUCHERS}{used.pk}/change/").text
    assert "alice@example.com" in page
    assert f"{USES}?voucher__id__exact={used.pk}" in page
    assert "Not used yet." in staff.get(f"{VOUCHERS}{withdrawn.pk}/change/").text
    uses = staff.get(USES, {"voucher__id__exact": used.pk}).text
    assert (list_cells(uses, "code"), list_cells(uses, "credits"), list_cells(uses, "user_link")) == (
        [used.code], ["50"], ["alice@example.com"]
    )  # fmt: skip
    assert used.code in staff.get(f"{USES}{used.redemptions.get().pk}/change/").text
    assert f'href="{VOUCHERS}{used.pk}/change/"' in staff.get(LEDGER).text
    assert ledger.balance_of(alice) == 50


def test_a_viewer_cannot_create_or_withdraw_vouchers(clerk: Callable[..., Client]) -> None:
    (voucher,) = vouchers.create_vouchers(user_credits=50, actor=None)
    staff = clerk("view_voucher")
    assert staff.get(VOUCHERS).status_code == staff.get(f"{VOUCHERS}sheet/").status_code == 200
    assert create_in_admin(staff).status_code == 403
    run_action(staff, VOUCHERS, "withdraw", voucher, confirmed="yes")
    assert Voucher.objects.get().withdrawn_at is None


def test_downloading_vouchers_needs_the_permission(clerk: Callable[..., Client]) -> None:
    staff = clerk("view_user")
    assert staff.get(VOUCHERS).status_code == 403
    assert staff.get(f"{VOUCHERS}sheet/").status_code == 403

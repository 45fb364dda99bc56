"""Operators give credits with an end, read lots, make vouchers and withdraw them."""

import csv
import re
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.credits import ledger, lots, vouchers
from billing.models import CreditLot, LedgerEntry, Voucher
from tests.billing.admin.test_pages import LEDGER, PEOPLE, act, columns, journal
from tests.billing.admin.test_pages import clerk as clerk
from tests.billing.conftest import SetClock
from tests.billing.credits.test_lots import charge, give, refund
from tests.billing.credits.test_signup import confirm

pytestmark = pytest.mark.django_db
VOUCHERS = "/admin/billing/voucher/"
USES = "/admin/billing/voucheruse/"
LOTS = "/admin/billing/creditlot/"


def give_by_hand(desk: Client, user: User, **fields: Any) -> str:
    form = {
        "confirmed": "yes",
        "amount": 100,
        "reason": "A gift",
        "key": "2f0f6f0e-58a5-4c0f-b0f8-6a2f0d5a7c11",
        **fields,
    }
    return act(desk, PEOPLE, "move_credits", user, **form)


# Grants


def test_credits_are_given_until_a_day(desk: Client, alice: User, still: SetClock, settings: Settings) -> None:
    settings.TIME_ZONE = "Asia/Shanghai"
    assert "+1,000 credits for alice@example.com: the balance is 1,000 now." in give_by_hand(
        desk, alice, amount=1000, last_day="2026-12-31"
    )
    assert f"{CreditLot.objects.get().expires_at:%Y-%m-%d %H:%M:%S}" == "2026-12-31 15:59:59"
    assert journal() == ["+1000 credits, until 2026-12-31: A gift"]
    assert ledger.balance_of(alice) == 1000
    assert [entry.amount for entry in ledger.statement(alice)] == [1000]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"last_day": "2026-08-31"}, "That day is in the past."),
        ({"last_day": "2026-12-31", "amount": -5}, "Only granted credits can have an expiry date."),
        ({"last_day": "2026-12-31", "amount": 0}, "Give or remove at least one credit."),
        ({"last_day": "soon"}, "Enter a valid date."),
    ],
)
def test_an_end_that_makes_no_sense_is_asked_for_again(
    desk: Client, alice: User, still: SetClock, fields: dict[str, Any], words: str
) -> None:
    assert words in give_by_hand(desk, alice, **fields)
    assert ledger.balance_of(alice) == 0
    assert not LedgerEntry.objects.exists()


def test_a_person_s_page_shows_what_they_hold_by_date(desk: Client, alice: User, still: SetClock) -> None:
    assert 'class="readonly">–' in desk.get(f"{PEOPLE}{alice.pk}/change/").text
    give(alice, 12_000)
    give(alice, 30, days=3, clock=still)
    charge(alice, 30)
    still.sleep(4 * 86400)
    refund()
    page = desk.get(f"{PEOPLE}{alice.pk}/change/").text
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "30 until 2026-09-12 12:00:00 Grace 12,000 no expiry All lots" in text
    assert f"{LOTS}?account__user={alice.pk}" in page
    assert "12,030" in columns(desk.get(PEOPLE, {"q": "alice"}).text, "balance")
    assert ledger.balance_of(alice) == 12_030


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue().strip()


def test_the_command_gives_until_a_day_or_for_days(alice: User, still: SetClock) -> None:
    assert run("grant_credits", alice.email, "10", "--reason=x", "--expires=2026-12-31") == (
        "Gave 10 credits until 2026-12-31 23:59. alice@example.com has 10 credits."
    )
    assert "Gave 5 credits until 2026-10-01 12:00." in run(
        "grant_credits", alice.email, "5", "--reason=x", "--days=30", "--key=september"
    )
    still.sleep(86400)
    assert "Given before" in run("grant_credits", alice.email, "5", "--reason=x", "--days=30", "--key=september")
    assert list(CreditLot.objects.values_list("remaining", "expires_at")) == [
        (5, still.at + timedelta(days=29)), (10, lots.end_of_day(still.at.date().replace(month=12, day=31)))
    ]  # fmt: skip
    assert ledger.balance_of(alice) == 15
    assert [entry.amount for entry in ledger.statement(alice)] == [5, 10]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--expires=2026-08-31", "2026-08-31 is over"),
        ("--expires=tomorrow", "tomorrow is no day; write it as 2026-12-31"),
        ("--days=0", "1 to 36500 days"),
        ("--days=36501", "1 to 36500 days"),
    ],
)
def test_the_command_says_what_is_wrong_with_an_end(alice: User, still: SetClock, option: str, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run("grant_credits", alice.email, "10", "--reason=x", option)
    assert ledger.balance_of(alice) == 0
    assert not LedgerEntry.objects.exists()


def test_the_first_credits_may_have_an_end(settings: Settings, still: SetClock) -> None:
    settings.SIGNUP_CREDITS_DAYS = 30
    user = User.objects.create_user("new@example.com")
    confirm(user, user.email)
    assert CreditLot.objects.get().expires_at == lots.days_from_now(30)
    assert ledger.balance_of(user) == 100
    assert [entry.amount for entry in ledger.statement(user)] == [100]


# Lots and the ledger


def test_lots_are_found_by_person_and_by_what_is_left(desk: Client, alice: User, bob: User, still: SetClock) -> None:
    give(bob, 7)
    give(alice, 12_345)
    give(alice, 30, days=3, clock=still)
    give(alice, 5, days=1, clock=still)
    charge(alice, 35)
    still.sleep(2 * 86400)
    refund()
    CreditLot.objects.filter(account__user=bob).update(entry=None)

    def left(**query: str) -> list[str]:
        return sorted(columns(desk.get(LOTS, query).text, "left"))

    assert left() == ["0", "12,345", "30", "5", "7"]
    assert left(held="yes") == ["12,345", "30", "5", "7"]
    assert left(held="week") == ["30", "5"]
    assert left(held="no") == ["0"]
    assert left(account__user=str(bob.pk)) == left(q="bob@") == ["7"]
    text = desk.get(LOTS).text
    assert "Grace" in columns(text, "kind")
    assert "balance from before lots existed" in text
    grace = CreditLot.objects.get(is_grace=True)
    assert "2026-09-10 12:00:00" in desk.get(f"{LOTS}{grace.pk}/change/").text
    assert desk.post(f"{LOTS}{grace.pk}/change/", {"remaining": "9"}).status_code == 403
    still.sleep(30 * 86400)
    ledger.expire(lot_id=grace.pk)
    assert "Expired" in desk.get(f"{LOTS}{grace.pk}/change/").text
    assert (ledger.balance_of(alice), ledger.balance_of(bob)) == (12_375, 7)


def test_an_entry_names_its_lots(desk: Client, alice: User, still: SetClock) -> None:
    first, second = give(alice, 30, days=3, clock=still), give(alice, 1200)
    entry = charge(alice, 60)
    text = desk.get(f"{LEDGER}{entry.pk}/change/").text
    assert f'<a href="{LOTS}{first.pk}/change/">30</a>, <a href="{LOTS}{second.pk}/change/">30</a>' in text
    assert f'{second.pk}/change/">1,200</a>' in desk.get(f"{LEDGER}{second.entry_id}/change/").text
    assert columns(desk.get(LEDGER).text, "credits") == ["-60", "+1,200", "+30"]
    assert columns(desk.get(LEDGER).text, "after") == ["1,170", "1,230", "30"]
    still.sleep(3 * 86400)
    refund()
    still.sleep(8 * 86400)
    gone = ledger.expire(lot_id=CreditLot.objects.get(is_grace=True).pk)
    assert gone is not None
    assert f'href="{LOTS}' in desk.get(LEDGER).text, "an expiry links to its lot"
    first.uses.all().delete()
    second.uses.all().delete()
    assert 'class="readonly">–' in desk.get(f"{LEDGER}{entry.pk}/change/").text
    assert ledger.balance_of(alice) == 1200


# Vouchers


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


def test_one_code_is_made_and_shown(desk: Client, olga: User, still: SetClock) -> None:
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


def test_fifty_codes_are_made_at_once_and_taken_away_as_a_sheet(desk: Client, still: SetClock) -> None:
    make(desk, note="older")
    still.sleep(1)
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
def test_vouchers_that_make_no_sense_are_not_made(desk: Client, still: SetClock, wrong: dict[str, Any]) -> None:
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


def test_what_another_operator_withdrew_meanwhile_is_no_act_of_ours(
    desk: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = vouchers.create_vouchers(user_credits=50, actor=None)
    monkeypatch.setattr(vouchers, "withdraw", lambda voucher_id: False)
    act(desk, VOUCHERS, "withdraw", one, confirmed="yes")
    assert journal() == []


def test_codes_are_found_by_state_and_by_who_used_them(desk: Client, alice: User, bob: User, still: SetClock) -> None:
    def one(note: str, **fields: Any) -> Voucher:
        return vouchers.create_vouchers(user_credits=50, actor=None, note=note, **fields)[0]

    one("usable")
    used, gone = one("used up"), one("withdrawn")
    one("over", valid_until=still.at)
    vouchers.redeem(user=alice, typed=used.code)
    vouchers.withdraw(voucher_id=gone.pk)
    states = {"usable": "Usable", "used_up": "Used up", "over": "Expired code", "withdrawn": "Withdrawn"}
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
    assert (columns(uses, "code"), columns(uses, "credits"), columns(uses, "person")) == (
        [used.code], ["50"], ["alice@example.com"]
    )  # fmt: skip
    assert used.code in desk.get(f"{USES}{used.redemptions.get().pk}/change/").text
    assert f'href="{VOUCHERS}{used.pk}/change/"' in desk.get(LEDGER).text
    assert ledger.balance_of(alice) == 50


def test_who_may_only_look_makes_and_withdraws_nothing(clerk: Callable[..., Client]) -> None:
    (one,) = vouchers.create_vouchers(user_credits=50, actor=None)
    desk = clerk("view_voucher")
    assert desk.get(VOUCHERS).status_code == desk.get(f"{VOUCHERS}sheet/").status_code == 200
    assert make(desk).status_code == 403
    act(desk, VOUCHERS, "withdraw", one, confirmed="yes")
    assert Voucher.objects.get().withdrawn_at is None


def test_who_may_not_see_vouchers_downloads_none(clerk: Callable[..., Client]) -> None:
    desk = clerk("view_user")
    assert desk.get(VOUCHERS).status_code == 403
    assert desk.get(f"{VOUCHERS}sheet/").status_code == 403

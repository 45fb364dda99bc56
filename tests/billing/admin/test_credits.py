"""Credits in the admin and the command: grants with an expiry date, and lots."""

import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.credits import ledger, lots
from billing.models import CreditLot, LedgerEntry
from tests.billing.admin.pages import LEDGER, USERS, list_cells, list_log_messages, run_action
from tests.billing.credits.test_lots import charge, grant_lot, refund
from tests.billing.credits.test_signup import confirm_address
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db
LOTS = "/admin/billing/creditlot/"


def change_credits_in_admin(staff: Client, user: User, **fields: Any) -> str:
    form = {
        "confirmed": "yes",
        "amount": 100,
        "reason": "A gift",
        "key": "2f0f6f0e-58a5-4c0f-b0f8-6a2f0d5a7c11",
        **fields,
    }
    return run_action(staff, USERS, "move_credits", user, **form)


def test_credits_are_given_until_a_day(
    staff: Client, alice: User, manual_clock: ManualClock, settings: Settings
) -> None:
    settings.TIME_ZONE = "Asia/Shanghai"
    assert "+1,000 credits for alice@example.com: the balance is 1,000 now." in change_credits_in_admin(
        staff, alice, amount=1000, last_day="2026-12-31"
    )
    assert f"{CreditLot.objects.get().expires_at:%Y-%m-%d %H:%M:%S}" == "2026-12-31 15:59:59"
    assert list_log_messages() == ["+1000 credits, until 2026-12-31: A gift"]
    assert ledger.balance_of(alice) == 1000
    assert [entry.amount for entry in ledger.statement(alice)] == [1000]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"last_day": "2026-08-31"}, "That day is in the past."),
        ({"last_day": "2026-12-31", "amount": -5}, "Only granted credits can have an expiry date."),
        ({"last_day": "2026-12-31", "amount": 0}, "Give or remove at least one credit."),
        ({"last_day": "soon"}, "Enter a valid date."),
    ],
)
def test_an_invalid_expiry_date_is_rejected(
    staff: Client, alice: User, manual_clock: ManualClock, fields: dict[str, Any], message: str
) -> None:
    assert message in change_credits_in_admin(staff, alice, **fields)
    assert ledger.balance_of(alice) == 0
    assert not LedgerEntry.objects.exists()


def test_a_user_s_page_lists_credits_by_expiry(staff: Client, alice: User, manual_clock: ManualClock) -> None:
    assert 'class="readonly">–' in staff.get(f"{USERS}{alice.pk}/change/").text
    grant_lot(alice, 12_000)
    grant_lot(alice, 30, days=3, clock=manual_clock)
    charge(alice, 30)
    manual_clock.sleep(4 * 86400)
    refund()
    page = staff.get(f"{USERS}{alice.pk}/change/").text
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "30 until 2026-09-12 12:00:00 Grace 12,000 no expiry All lots" in text
    assert f"{LOTS}?account__user={alice.pk}" in page
    assert "12,030" in list_cells(staff.get(USERS, {"q": "alice"}).text, "balance")
    assert ledger.balance_of(alice) == 12_030


def run_command(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue().strip()


def test_the_command_grants_until_a_day_or_for_days(alice: User, manual_clock: ManualClock) -> None:
    assert run_command("grant_credits", alice.email, "10", "--reason=x", "--expires=2026-12-31") == (
        "Gave 10 credits until 2026-12-31 23:59. alice@example.com has 10 credits."
    )
    assert "Gave 5 credits until 2026-10-01 12:00." in run_command(
        "grant_credits", alice.email, "5", "--reason=x", "--days=30", "--key=september"
    )
    manual_clock.sleep(86400)
    assert "Given before" in run_command(
        "grant_credits", alice.email, "5", "--reason=x", "--days=30", "--key=september"
    )
    assert list(CreditLot.objects.values_list("remaining", "expires_at")) == [
        (5, manual_clock.at + timedelta(days=29)), (10, lots.end_of_day(manual_clock.at.date().replace(month=12, day=31)))
    ]  # fmt: skip
    assert ledger.balance_of(alice) == 15
    assert [entry.amount for entry in ledger.statement(alice)] == [5, 10]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--expires=2026-08-31", "2026-08-31 is in the past"),
        ("--expires=tomorrow", "tomorrow is not a date; write it as 2026-12-31"),
        ("--days=0", "1 to 36500 days"),
        ("--days=36501", "1 to 36500 days"),
    ],
)
def test_the_command_explains_an_invalid_expiry(
    alice: User, manual_clock: ManualClock, option: str, message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        run_command("grant_credits", alice.email, "10", "--reason=x", option)
    assert ledger.balance_of(alice) == 0
    assert not LedgerEntry.objects.exists()


def test_sign_up_credits_may_expire(settings: Settings, manual_clock: ManualClock) -> None:
    settings.SIGNUP_CREDITS_DAYS = 30
    user = User.objects.create_user("new@example.com")
    confirm_address(user, user.email)
    assert CreditLot.objects.get().expires_at == lots.days_from_now(30)
    assert ledger.balance_of(user) == 100
    assert [entry.amount for entry in ledger.statement(user)] == [100]


def test_lots_are_filtered_by_user_and_credits_left(
    staff: Client, alice: User, bob: User, manual_clock: ManualClock
) -> None:
    grant_lot(bob, 7)
    grant_lot(alice, 12_345)
    grant_lot(alice, 30, days=3, clock=manual_clock)
    grant_lot(alice, 5, days=1, clock=manual_clock)
    charge(alice, 35)
    manual_clock.sleep(2 * 86400)
    refund()
    CreditLot.objects.filter(account__user=bob).update(entry=None)

    def listed_credits(**query: str) -> list[str]:
        return sorted(list_cells(staff.get(LOTS, query).text, "credits_left"))

    assert listed_credits() == ["0", "12,345", "30", "5", "7"]
    assert listed_credits(held="yes") == ["12,345", "30", "5", "7"]
    assert listed_credits(held="week") == ["30", "5"]
    assert listed_credits(held="no") == ["0"]
    assert listed_credits(account__user=str(bob.pk)) == listed_credits(q="bob@") == ["7"]
    text = staff.get(LOTS).text
    assert "Grace" in list_cells(text, "status")
    assert "balance from before lots existed" in text
    grace = CreditLot.objects.get(is_grace=True)
    assert "2026-09-10 12:00:00" in staff.get(f"{LOTS}{grace.pk}/change/").text
    assert staff.post(f"{LOTS}{grace.pk}/change/", {"remaining": "9"}).status_code == 403
    manual_clock.sleep(30 * 86400)
    ledger.expire(lot_id=grace.pk)
    assert "Expired" in staff.get(f"{LOTS}{grace.pk}/change/").text
    assert (ledger.balance_of(alice), ledger.balance_of(bob)) == (12_375, 7)


def test_an_entry_names_its_lots(staff: Client, alice: User, manual_clock: ManualClock) -> None:
    first, second = grant_lot(alice, 30, days=3, clock=manual_clock), grant_lot(alice, 1200)
    entry = charge(alice, 60)
    text = staff.get(f"{LEDGER}{entry.pk}/change/").text
    assert f'<a href="{LOTS}{first.pk}/change/">30</a>, <a href="{LOTS}{second.pk}/change/">30</a>' in text
    assert f'{second.pk}/change/">1,200</a>' in staff.get(f"{LEDGER}{second.entry_id}/change/").text
    assert list_cells(staff.get(LEDGER).text, "credits") == ["−60", "+1,200", "+30"]
    assert list_cells(staff.get(LEDGER).text, "new_balance") == ["1,170", "1,230", "30"]
    manual_clock.sleep(3 * 86400)
    refund()
    manual_clock.sleep(8 * 86400)
    expiry_entry = ledger.expire(lot_id=CreditLot.objects.get(is_grace=True).pk)
    assert expiry_entry is not None
    assert f'href="{LOTS}' in staff.get(LEDGER).text, "an expiry links to its lot"
    first.uses.all().delete()
    second.uses.all().delete()
    assert 'class="readonly">–' in staff.get(f"{LEDGER}{entry.pk}/change/").text
    assert ledger.balance_of(alice) == 1200

"""The pages of provider accounts: pausing, balance history, and why new videos wait."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.models import User
from billing.costs import spend
from billing.guard import circuit_breaker
from billing.models import (
    BalanceSnapshot,
    ProviderAccount,
    Spend,
)
from billing.provider import accounts as provider_accounts
from tests.billing.admin.pages import (
    ACCOUNTS,
    account_page_url,
    list_cells,
    list_log_messages,
    reload_account,
    run_action,
)

pytestmark = pytest.mark.django_db


def test_a_pause_asks_for_its_reason_and_a_resume_ends_it(staff: Client, account: ProviderAccount, olga: User) -> None:
    confirmation = run_action(staff, ACCOUNTS, "pause", account)
    assert "refused with your reason" in confirmation
    assert "Maintenance: “maintenance; it will not take long”" in confirmation
    assert "Unusual spending" not in confirmation
    assert "errorlist" in run_action(staff, ACCOUNTS, "pause", account, confirmed="yes", code="own_words", words_en=" ")
    assert "errorlist" in run_action(staff, ACCOUNTS, "pause", account, confirmed="yes")
    assert reload_account(account).paused_at is None
    reasons = {"words_en": "We move house.", "words_zh-hans": "我们在搬家"}
    text = run_action(staff, ACCOUNTS, "pause", account, confirmed="yes", code="own_words", **reasons)
    assert "Paused by olga@example.com since" in text
    assert "English: “We move house” · Simplified Chinese: “我们在搬家”" in text
    assert "It lasts until an operator resumes it." in text
    assert (reload_account(account).pause_reason, reload_account(account).paused_by) == ("We move house.", olga)
    assert "Paused" in list_cells(staff.get(ACCOUNTS).text, "state")
    run_action(staff, ACCOUNTS, "resume", account)
    assert reload_account(account).paused_at is not None
    run_action(staff, ACCOUNTS, "resume", account, confirmed="yes")
    assert reload_account(account).paused_at is None
    assert list_log_messages() == ["paused: We move house", "resumed"]


def test_a_pause_may_have_an_end_in_the_future(staff: Client, account: ProviderAccount) -> None:
    pause = {"confirmed": "yes", "code": "maintenance", "words_en": "not chosen, not kept"}
    assert "This time is in the past." in run_action(
        staff, ACCOUNTS, "pause", account, until="2020-01-01T00:00", **pause
    )
    assert reload_account(account).paused_at is None
    text = run_action(staff, ACCOUNTS, "pause", account, until="2090-01-01T00:00", **pause)
    assert "It ends automatically at 1 Jan, 00:00." in text
    assert (reload_account(account).pause_reason, reload_account(account).pause_words) == ("", {})
    assert reload_account(account).paused_until == datetime(2090, 1, 1, tzinfo=UTC)


def test_a_pause_of_the_monitor_is_shown_with_its_note(staff: Client, account: ProviderAccount) -> None:
    code = ProviderAccount.Pause.UNUSUAL_SPEND
    provider_accounts.pause_account(account_id=account.pk, actor=None, code=code, reason="900 this hour, usually 40.")
    text = staff.get(account_page_url(account)).text
    assert "Paused by the spending monitor since" in text
    assert "Note: 900 this hour, usually 40." in text


def test_several_accounts_are_paused_and_resumed_together(
    staff: Client, account: ProviderAccount, own_key: ProviderAccount
) -> None:
    run_action(staff, ACCOUNTS, "pause", account, own_key, confirmed="yes", code="own_words", words_en="Both")
    assert ProviderAccount.objects.filter(pause_reason="Both").count() == 2
    run_action(staff, ACCOUNTS, "resume", account, own_key, confirmed="yes")
    assert ProviderAccount.objects.filter(paused_at=None).count() == 2


def test_the_page_shows_balance_history_and_state(
    staff: Client, account: ProviderAccount, new_spend: Callable[..., Spend]
) -> None:
    assert "polyline" not in staff.get(account_page_url(account)).text
    spend.promise(spend=new_spend(), account=account)
    for n in range(60):
        provider_accounts.record_balance(account_id=account.pk, balance=Decimal(4000 - n))
    text = staff.get(account_page_url(account)).text
    assert text.count('<td class="num nowrap">') == 50
    assert "3,941" in text
    assert "3,991" not in text
    assert "3,881" in text, "available: the balance minus the credits promised to running jobs"
    assert list_cells(staff.get(ACCOUNTS).text, "available_credits") == ["3,881"]
    assert "polyline" in text
    assert "Used for new videos" in text
    assert "Working" in text
    assert staff.get(f"{ACCOUNTS}999999/change/").status_code == 404


def test_the_page_of_a_new_account_shows_that_it_is_untested(staff: Client, own_key: ProviderAccount) -> None:
    text = staff.get(account_page_url(own_key)).text
    assert "Not read yet." in text
    assert "No calls in the last day." in text
    assert "Not tested yet: no call has been answered." in text
    assert list_cells(staff.get(ACCOUNTS).text, "state") == ["Not tested yet"]


def test_the_page_explains_why_videos_wait(staff: Client, account: ProviderAccount) -> None:
    parked = ProviderAccount.Parked
    provider_accounts.block_account(account_id=account.pk, parked_as=parked.OUT_OF_CREDITS, detail="402")
    text = staff.get(account_page_url(account)).text
    assert "Out of provider credits since" in text
    assert "Top it up there" in text
    assert "This is the sandbox" not in text
    provider_accounts.block_account(account_id=account.pk, parked_as=parked.ACCESS_DENIED, detail="401")
    text = staff.get(account_page_url(account)).text
    assert "Key or address refused since" in text
    assert "Correct the key" in text
    ProviderAccount.objects.update(parked_as="", parked_at=None)
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(500))
    text = staff.get(account_page_url(account)).text
    assert "The balance is at or below the critical threshold of 500" in text
    assert list_cells(staff.get(ACCOUNTS).text, "state") == ["Critical balance"]
    provider_accounts.block_account(account_id=account.pk, parked_as=parked.ACCESS_DENIED, detail="401")
    assert list_cells(staff.get(ACCOUNTS).text, "state") == ["Key or address refused"]


def test_the_sandbox_page_shows_how_to_add_credits(staff: Client, account: ProviderAccount) -> None:
    ProviderAccount.objects.update(source=ProviderAccount.Source.SANDBOX)
    assert "This is the sandbox" not in staff.get(account_page_url(account)).text
    provider_accounts.block_account(
        account_id=account.pk, parked_as=ProviderAccount.Parked.OUT_OF_CREDITS, detail="402"
    )
    text = staff.get(account_page_url(account)).text
    assert "This is the sandbox" in text
    assert f"{account.base_url}/_sandbox/balance" in text


def test_the_page_explains_the_breaker_in_each_state(staff: Client, account: ProviderAccount) -> None:
    circuit_breaker.record_success(account.pk)
    circuit_breaker.record_failure(account.pk, detail="HTTP 502")
    text = staff.get(account_page_url(account)).text
    assert "Orders are sent, but 1 of the last ones failed." in text
    assert "5 failures among the last 10 orders within 5 minutes stop new ones." in text
    assert "HTTP 502" in text
    circuit_breaker.record_failure(account.pk, detail="455", opens_immediately=True)
    text = staff.get(account_page_url(account)).text
    assert "Breaker: Open" in text
    assert "so nothing is sent until" in text
    ProviderAccount.objects.update(breaker_until=timezone.now())
    assert "The pause is over" in staff.get(account_page_url(account)).text
    with transaction.atomic():
        circuit_breaker.start_probe(provider_accounts.lock_account(account.pk))
    assert "One video was sent as a probe at" in staff.get(account_page_url(account)).text
    ProviderAccount.objects.update(breaker_at=None)
    assert "as a probe at –" in staff.get(account_page_url(account)).text


def test_a_history_of_zero_balances_draws_a_flat_line(staff: Client, account: ProviderAccount) -> None:
    for _ in range(2):
        provider_accounts.record_balance(account_id=account.pk, balance=Decimal(0))
    BalanceSnapshot.objects.filter(balance=5000).delete()
    BalanceSnapshot.objects.update(taken_at=timezone.now())
    assert 'points="0.0,100.0 0.0,100.0"' in staff.get(account_page_url(account)).text

"""The billing admin in a real browser: layout, security policy and actions.

A violation of the Content-Security-Policy is a console error, and `new_page` fails on those.
"""

from decimal import Decimal

import pytest
from playwright.sync_api import expect
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.alerts import services as alerts
from billing.credits import ledger
from billing.models import Alert, LedgerEntry, ProviderAccount
from billing.provider import accounts as provider_accounts
from tests.billing import history
from tests.browsing import DESKTOP, PHONE, NewPage, measure_overflow

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def account(settings: Settings, alice: User) -> ProviderAccount:
    """An account with a history, and rows in every list."""
    settings.STAFF_MFA_REQUIRED = False
    current = provider_accounts.get_current_account()
    history.make_cancelled(alice)
    history.make_ready(alice)
    for balance in (5000, 4200, 3900, 1200, 980):
        provider_accounts.record_balance(account_id=current.pk, balance=Decimal(balance))
    alerts.raise_alert(Alert.Kind.STORAGE, cause="media", detail="the disk is full")
    return current


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_billing_pages_fit_and_break_no_security_policy(
    account: ProviderAccount, alice: User, olga: User, new_page: NewPage, viewport: tuple[int, int]
) -> None:
    page = new_page(user=olga, viewport=viewport)
    entry = LedgerEntry.objects.first()
    assert entry is not None
    for path in (
        "/admin/accounts/user/",
        f"/admin/accounts/user/{alice.pk}/change/",
        "/admin/billing/ledgerentry/",
        f"/admin/billing/ledgerentry/{entry.pk}/change/",
        "/admin/billing/price/",
        "/admin/billing/price/add/",
        "/admin/billing/provideraccount/",
        f"/admin/billing/provideraccount/{account.pk}/change/",
        "/admin/billing/alert/",
        "/admin/billing/budget/",
        "/admin/billing/budget/add/",
        "/admin/billing/spend/",
        "/admin/billing/paidcall/",
    ):
        response = page.goto(path)
        assert response is not None
        assert response.status == 200, path
        assert measure_overflow(page) <= 0, path


def test_an_operator_gives_credits(account: ProviderAccount, alice: User, olga: User, new_page: NewPage) -> None:
    page = new_page(user=olga)
    page.goto(f"/admin/accounts/user/{alice.pk}/change/")
    page.get_by_role("button", name="Give or remove credits").click()
    page.get_by_label("Credits").fill("40")
    page.get_by_label("Reason").fill("A gift")
    page.get_by_role("button", name="Change credits").click()
    expect(page.get_by_text("+40 credits for alice@example.com: the balance is 100 now.")).to_be_visible()
    assert ledger.balance_of(alice) == 100
    assert ledger.statement(alice).latest("id").note == "A gift"


def test_an_operator_pauses_and_resumes_new_videos(account: ProviderAccount, olga: User, new_page: NewPage) -> None:
    page = new_page(user=olga)
    page.goto(f"/admin/billing/provideraccount/{account.pk}/change/")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("radio", name="In your own words").check()
    page.get_by_label("In your own words: English").fill("We move house")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_text("Paused by olga@example.com since")).to_be_visible()
    expect(page.get_by_text("We move house").first).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.get_by_text("Working", exact=True)).to_be_visible()

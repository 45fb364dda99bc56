"""API tokens, holds and stops of the spending monitor in a real browser: layout, security policy and actions."""

import re
from decimal import Decimal

import pytest
from playwright.sync_api import expect
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.seams import clock
from accounts.tokens import services as tokens
from billing.costs import rollups
from billing.guard import anomalies, user_holds
from billing.guard.anomalies import RecentOutcomes
from billing.models import Measure, UserHold
from billing.provider import accounts as provider_accounts
from tests.browsing import DESKTOP, PHONE, NewPage, measure_overflow
from tests.people import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _rows_in_every_list(settings: Settings, alice: User, bob: User, olga: User) -> None:
    settings.STAFF_MFA_REQUIRED = False
    account = provider_accounts.get_current_account()
    rollups.record_counts(
        ordered_at=clock.now(), model="veo3_fast", user_id=1, counts=[(Measure.ESTIMATED, Decimal("2412.5"))]
    )
    anomalies.check_anomalies(account_id=account.pk, outcomes_since=lambda since: RecentOutcomes(0, {}))
    user_holds.hold(user=alice, code=user_holds.Code.BURST)
    user_holds.hold(user=bob, code=user_holds.Code.OPERATOR, reason="please call us about your invoice", actor=olga)
    tokens.create_token(user=olga, name="grafana", scopes=[tokens.COST_READ])
    tokens.revoke_token(
        token_id=tokens.create_token(user=olga, name="old", scopes=[tokens.COST_READ]).token.pk, actor=olga
    )


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_pages_fit_and_break_no_security_policy(
    alice: User, olga: User, new_page: NewPage, viewport: tuple[int, int]
) -> None:
    page = new_page(user=olga, viewport=viewport)
    for path in (
        "/admin/accounts/apitoken/",
        "/admin/billing/userhold/",
        "/admin/billing/watchtrip/",
        f"/admin/accounts/user/{alice.pk}/change/",
    ):
        response = page.goto(path)
        assert response is not None
        assert response.status == 200, path
        assert measure_overflow(page) <= 0, path


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_an_operator_creates_a_token_that_is_shown_once(
    olga: User, new_page: NewPage, viewport: tuple[int, int]
) -> None:
    page = new_page(user=olga, viewport=viewport)
    page.goto("/admin/accounts/apitoken/add/")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name=re.compile("Confirm|Continue|Go on")).click()
    page.get_by_label("Name").fill("nagios on the roof")
    assert measure_overflow(page) <= 0
    page.get_by_role("button", name="Create token").click()
    secret = page.get_by_label("nagios on the roof").input_value()
    assert re.fullmatch(r"veo_[A-Za-z0-9_-]{43}", secret)
    assert measure_overflow(page) <= 0
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_text("nagios on the roof")).to_be_visible()
    assert secret not in page.content()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_an_operator_releases_and_holds_a_user(
    alice: User, olga: User, new_page: NewPage, viewport: tuple[int, int]
) -> None:
    page = new_page(user=olga, viewport=viewport)
    page.goto(f"/admin/accounts/user/{alice.pk}/change/")
    page.get_by_role("button", name="Release the hold").click()
    expect(page.get_by_text("Can order again: alice@example.com")).to_be_visible()
    page.goto(f"/admin/accounts/user/{alice.pk}/change/")
    page.get_by_role("button", name="Hold new videos").click()
    page.get_by_label("Reason").fill("please call us")
    assert measure_overflow(page) <= 0
    page.get_by_role("button", name="Hold", exact=True).click()
    expect(page.get_by_text("New videos are held: alice@example.com")).to_be_visible()
    assert UserHold.objects.get(user=alice).reason == "please call us"

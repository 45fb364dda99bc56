"""The price panel shows what an order would wait for, and a typical time only if the order would start when its turn comes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.seams import clock
from billing.budgets.limits import set_limit
from billing.common.periods import window_at
from billing.costs import spend
from billing.credits import ledger
from billing.models import BudgetWindow, ProviderAccount
from billing.pricing import prices
from billing.provider import accounts as provider_accounts
from tests.clocks import ManualClock
from tests.jobs import job_id
from tests.people import give_credits
from tests.videos import video_states
from tests.videos.views.requests import studio_form

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_media")]

NOON = datetime(2026, 6, 15, 12, 10, tzinfo=UTC)
# The class of the element that shows a typical time.
TYPICAL_TIME = "pay-time"


@pytest.fixture
def signed_in(client: Client, alice: User) -> Client:
    give_credits(alice, 500)
    client.force_login(alice)
    return client


@pytest.fixture
def account(db: None) -> Iterator[ProviderAccount]:
    """The current provider account with a sufficient balance; the clock is stopped at NOON."""
    manual_clock = ManualClock()
    manual_clock.at = NOON
    with clock.replaced(manual_clock):
        account = provider_accounts.get_current_account()
        provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
        yield account


def read_price_panel(client: Client) -> str:
    """The price panel's HTML, after checking that page and live price show the same."""
    page, live = (client.get(address).text for address in ("/", "/quote/"))
    panels = [text.partition('id="pay"')[2].partition("</div>")[0] for text in (page, live)]
    assert panels[0].partition(">")[2] == panels[1].partition(">")[2]
    return panels[0]


def set_hour_budget(used: int, *, limit: int) -> None:
    """Set the site's budget for this hour, with `used` of it used."""
    set_limit(subject="all", period="hour", limit=Decimal(limit), actor=None)
    hour = window_at("hour", NOON)
    BudgetWindow.objects.create(
        scope="all", period="hour", starts_at=hour.starts_at, ends_at=hour.ends_at, used=Decimal(used)
    )


def test_an_order_that_starts_immediately_shows_its_typical_time(signed_in: Client, account: ProviderAccount) -> None:
    text = read_price_panel(signed_in)
    assert TYPICAL_TIME in text
    assert "would wait" not in text


def test_a_used_up_hour_budget_is_shown_before_the_order_with_its_end(
    signed_in: Client, alice: User, account: ProviderAccount
) -> None:
    set_hour_budget(180, limit=230)
    text = read_price_panel(signed_in)
    assert "It would wait until 13:00: this hour&#x27;s budget is spent." in text
    assert TYPICAL_TIME not in text
    # The order really waits for that reason.
    assert signed_in.post("/", studio_form()).status_code == 302
    assert ledger.balance_of(alice) == 440
    assert "this hour&#x27;s budget is spent" in signed_in.get("/").text.partition('id="on-the-way"')[2]


def test_queued_orders_count_towards_the_expected_wait(signed_in: Client, account: ProviderAccount) -> None:
    set_hour_budget(110, limit=230)
    assert TYPICAL_TIME in read_price_panel(signed_in)
    for number in range(2):
        signed_in.post("/", studio_form(key=f"key-{number}"))
    text = read_price_panel(signed_in)
    assert "It would wait until 13:00" in text
    assert TYPICAL_TIME not in text


def test_a_budget_that_ends_too_late_refuses_and_shows_no_time(signed_in: Client, account: ProviderAccount) -> None:
    set_limit(subject="all", period="day", limit=Decimal(60), actor=None)
    signed_in.post("/", studio_form())
    text = read_price_panel(signed_in)
    assert "The budget for this is used up until" in text
    assert TYPICAL_TIME not in text


@pytest.mark.parametrize(
    ("columns", "notice"),
    [
        ({"paused_at": NOON, "pause_code": "maintenance"}, "New videos are paused"),
        ({"parked_as": "access_denied", "parked_at": NOON}, "No new videos right now"),
        ({"parked_as": "out_of_credits", "parked_at": NOON}, "No new videos right now"),
        ({"balance": Decimal(500)}, "No new videos right now"),
        (
            {"breaker": "open", "breaker_until": NOON + timedelta(minutes=1)},
            "It would wait: the provider has problems; we try again soon.",
        ),
    ],
)
def test_a_restriction_for_all_users_is_shown_beside_the_price(
    signed_in: Client, account: ProviderAccount, columns: dict[str, Any], notice: str
) -> None:
    ProviderAccount.objects.filter(pk=account.pk).update(**columns)
    text = read_price_panel(signed_in)
    assert notice in text
    assert TYPICAL_TIME not in text


def test_a_breaker_after_its_cooldown_restricts_no_order(signed_in: Client, account: ProviderAccount) -> None:
    ProviderAccount.objects.filter(pk=account.pk).update(breaker="open", breaker_until=NOON)
    assert TYPICAL_TIME in read_price_panel(signed_in)


def test_a_balance_reserved_for_other_videos_is_shown(signed_in: Client, alice: User, account: ProviderAccount) -> None:
    quote = prices.get_quote(model="veo3_fast", resolution="720p")
    for number in range(2):
        spend.promise(spend=spend.estimate(job_id=job_id(f"job:{number}"), user=alice, quote=quote), account=account)
    ProviderAccount.objects.filter(pk=account.pk).update(balance=Decimal(620))
    text = read_price_panel(signed_in)
    assert "It would wait: the operator has to top up the provider account." in text
    assert TYPICAL_TIME not in text


def test_without_a_provider_key_no_time_is_shown(
    signed_in: Client, account: ProviderAccount, settings: Settings
) -> None:
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", False
    text = read_price_panel(signed_in)
    assert "No new videos right now" in text
    assert TYPICAL_TIME not in text


def test_after_a_refusal_no_time_is_shown(signed_in: Client, account: ProviderAccount, settings: Settings) -> None:
    settings.MAX_QUEUE_WAIT_MINUTES = -1
    response = signed_in.post("/", studio_form())
    assert response.status_code == 422
    assert TYPICAL_TIME not in response.text


def test_a_user_at_the_active_limit_is_shown_no_time(
    signed_in: Client, account: ProviderAccount, settings: Settings
) -> None:
    settings.MAX_ACTIVE_PER_USER = 1
    signed_in.post("/", studio_form())
    text = read_price_panel(signed_in)
    assert "1 of 1 in progress" in text
    assert TYPICAL_TIME not in text


def test_a_long_queue_is_shown_and_a_full_queue_refuses_orders(
    signed_in: Client, bob: User, account: ProviderAccount, settings: Settings
) -> None:
    settings.MAX_CONCURRENT_VIDEOS = 1
    for _ in range(3):
        video_states.make_queued(bob)
    text = read_price_panel(signed_in)
    assert "It would start in about 5 minutes: other videos come first." in text
    assert TYPICAL_TIME not in text
    settings.MAX_QUEUE_WAIT_MINUTES = 4
    text = read_price_panel(signed_in)
    assert "Too many videos are waiting; no more orders are accepted right now." in text
    assert TYPICAL_TIME not in text
    assert signed_in.post("/", studio_form()).status_code == 422


def test_the_quote_needs_a_limited_number_of_queries(signed_in: Client, account: ProviderAccount) -> None:
    set_hour_budget(180, limit=230)
    signed_in.get("/quote/")
    with CaptureQueriesContext(connection) as queries:
        signed_in.get("/quote/")
    assert len(queries) <= 22, "\n".join(query["sql"] for query in queries)

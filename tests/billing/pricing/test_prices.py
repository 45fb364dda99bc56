"""Prices at a given time."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from billing.models import Price
from billing.pricing import prices
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db

FEED_OF = datetime(2026, 6, 9, tzinfo=UTC)
# The provider's feed of 2026-06-09, per video, whatever its duration.
FEED = {
    ("generate", "veo3", "720p"): 250,
    ("generate", "veo3", "1080p"): 255,
    ("generate", "veo3", "4k"): 380,
    ("generate", "veo3_fast", "720p"): 60,
    ("generate", "veo3_fast", "1080p"): 65,
    ("generate", "veo3_fast", "4k"): 180,
    ("generate", "veo3_lite", "720p"): 30,
    ("generate", "veo3_lite", "1080p"): 35,
    ("generate", "veo3_lite", "4k"): 150,
    ("reference", "veo3_fast", "720p"): 60,
    ("extend", "veo3", "720p"): 250,
    ("extend", "veo3_fast", "720p"): 60,
    ("extend", "veo3_lite", "720p"): 30,
    ("1080p", "veo3_fast", "1080p"): 5,
    ("4k", "veo3_fast", "4k"): 120,
}


@pytest.mark.parametrize("item", FEED, ids=" ".join)
def test_a_new_site_has_the_prices_of_2026_06_09(item: tuple[str, str, str]) -> None:
    kind, model, resolution = item
    price = Price.objects.get(kind=kind, model=model, resolution=resolution)
    assert (price.provider_credits, price.valid_from) == (Decimal(FEED[item]), FEED_OF)
    assert price.user_credits == FEED[item]


def test_a_quote_has_both_credits_and_dollars() -> None:
    quote = prices.get_quote(model="veo3_fast", resolution="720p")
    assert (quote.user_credits, quote.provider_credits, quote.usd) == (60, Decimal(60), Decimal("0.30"))
    assert str(Price.objects.get(kind="generate", model="veo3_fast", resolution="720p"))


def set_price(provider_credits: str, user_credits: int, at: datetime) -> Price:
    return Price.objects.create(
        model="veo3_fast",
        resolution="720p",
        provider_credits=Decimal(provider_credits),
        user_credits=user_credits,
        valid_from=at,
    )


def test_a_price_is_valid_from_its_time_on(manual_clock: ManualClock) -> None:
    set_price("37.5", 45, manual_clock.at + timedelta(hours=1))
    assert prices.get_quote(model="veo3_fast", resolution="720p").user_credits == 60
    manual_clock.sleep(3600)
    quote = prices.get_quote(model="veo3_fast", resolution="720p")
    assert (quote.user_credits, quote.provider_credits) == (45, Decimal("37.5"))
    assert prices.get_quote(model="veo3_fast", resolution="720p", at=FEED_OF).user_credits == 60


@pytest.mark.parametrize(
    ("model", "resolution", "kind"),
    [("veo4", "720p", "generate"), ("veo3_fast", "8k", "generate"), ("veo3", "720p", "reference")],
)
def test_an_item_without_a_price_is_not_sold(model: str, resolution: str, kind: str) -> None:
    with pytest.raises(prices.NoPrice):
        prices.get_quote(model=model, resolution=resolution, kind=kind)


def test_before_its_first_price_nothing_is_sold() -> None:
    with pytest.raises(prices.NoPrice):
        prices.get_quote(model="veo3_fast", resolution="720p", at=FEED_OF - timedelta(seconds=1))


@pytest.mark.parametrize(("provider_credits", "user_credits"), [("0", 60), ("-1", 60), ("60", 0)])
def test_a_zero_price_cannot_be_stored(provider_credits: str, user_credits: int, manual_clock: ManualClock) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        set_price(provider_credits, user_credits, manual_clock.at)
    assert prices.get_quote(model="veo3_fast", resolution="720p").user_credits == 60


@pytest.mark.parametrize(("provider_credits", "user_credits"), [("0", 60), ("60", 0)])
def test_a_zero_price_sells_nothing_even_if_stored(
    provider_credits: str, user_credits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Price.objects,
        "filter",
        lambda **_: UncheckedResult(Price(provider_credits=Decimal(provider_credits), user_credits=user_credits)),
    )
    with pytest.raises(prices.NoPrice):
        prices.get_quote(model="veo3_fast", resolution="720p")


class UncheckedResult:
    """A query result with one row that no database constraint has checked."""

    def __init__(self, price: Price) -> None:
        self.price = price

    def order_by(self, *names: str) -> "UncheckedResult":
        return self

    def first(self) -> Price:
        return self.price


def test_the_price_list_has_the_newest_price_of_each_item_cheapest_first(manual_clock: ManualClock) -> None:
    set_price("37.5", 45, manual_clock.at)
    set_price("1", 1, manual_clock.at + timedelta(days=1))
    generate = [quote for quote in prices.list_current_quotes() if quote.kind == "generate"]
    assert [quote.user_credits for quote in generate] == [30, 35, 45, 65, 150, 180, 250, 255, 380]
    assert len(prices.list_current_quotes(at=FEED_OF)) == Price.objects.filter(valid_from=FEED_OF).count()
    assert prices.list_current_quotes(at=FEED_OF - timedelta(days=1)) == []


def test_the_lowest_cost_is_that_of_a_new_video_at_the_given_time(manual_clock: ManualClock) -> None:
    assert prices.get_lowest_cost() == 30, "kinds that need an existing video cost less and do not count"
    assert prices.get_lowest_cost(model="veo3_fast") == 60
    set_price("12.5", 45, manual_clock.at + timedelta(hours=1))
    assert prices.get_lowest_cost(at=manual_clock.at) == 30
    manual_clock.sleep(3600)
    assert prices.get_lowest_cost() == Decimal("12.5")
    assert prices.get_lowest_cost(at=FEED_OF - timedelta(days=1)) is None

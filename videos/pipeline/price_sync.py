"""Compares the provider's public price feed with our price list, shows the effect on margins, and adopts prices."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from django.conf import settings

from billing.common.item_names import Item
from billing.models import Price, PriceProposal
from billing.pricing import margins, prices, provider_price_changes
from billing.pricing.margins import Margin
from billing.provider import accounts as provider_accounts
from videos.providers.kie.prices import FeedPrice, read_prices

FEED = PriceProposal.Source.FEED


@dataclass(frozen=True, kw_only=True)
class PriceComparison:
    """One item of our list, of the feed, or of both.

    `user_price` is in user credits, all other prices are in provider credits. A price that is missing is None.
    """

    item: Item
    list_price: Decimal | None
    feed_price: Decimal | None
    user_price: int | None
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether our list and the feed both have the item, at different prices."""
        return self.list_price is not None and self.feed_price is not None and self.list_price != self.feed_price

    @property
    def is_implausible(self) -> bool:
        """Whether the feed's price looks like a mistake."""
        return (
            self.list_price is not None
            and self.feed_price is not None
            and provider_price_changes.is_implausible(listed=self.list_price, seen=self.feed_price)
        )

    @property
    def before(self) -> Margin | None:
        """The margin at our list's price."""
        return None if self.list_price is None or self.user_price is None else Margin(self.user_price, self.list_price)

    @property
    def after(self) -> Margin | None:
        """The margin at the feed's price."""
        return None if self.feed_price is None or self.user_price is None else Margin(self.user_price, self.feed_price)


def feed_url() -> str:
    """The base URL of the feed: that of the current account or, without one, that in the settings. It needs no key."""
    try:
        return provider_accounts.get_current_account().base_url
    except provider_accounts.NoProviderKey:
        base: str = settings.KIE_AI_BASE_URL
        return base


def compare() -> list[PriceComparison]:
    """Read the feed and compare it with the prices in force. Raises ProviderError if the feed cannot be read."""
    feed = {Item(*item): price for item, price in read_prices(feed_url()).items()}
    return compare_with(feed)


def compare_with(feed: dict[Item, FeedPrice]) -> list[PriceComparison]:
    """Compare every item of our list and of the feed; the items of our list come first, in the order of our list."""
    listed = {Item(quote.model, quote.resolution, quote.kind): quote for quote in prices.list_current_quotes()}
    comparisons = [
        PriceComparison(
            item=item,
            list_price=quote.provider_credits,
            feed_price=feed[item].provider_credits if item in feed else None,
            user_price=quote.user_credits,
            notes=feed[item].notes if item in feed else ("not in the feed",),
        )
        for item, quote in listed.items()
    ]
    unsold = sorted(item for item in feed if item not in listed)
    comparisons += [
        PriceComparison(
            item=item,
            list_price=None,
            feed_price=feed[item].provider_credits,
            user_price=None,
            notes=("not sold here",),
        )
        for item in unsold
    ]
    return comparisons


def propose(comparisons: Iterable[PriceComparison]) -> int:
    """Propose differences to the operators and withdraw outdated proposals; returns how many are open."""
    open_proposals = 0
    for comparison in comparisons:
        if comparison.list_price is None or comparison.feed_price is None:
            continue
        if not comparison.differs:
            provider_price_changes.withdraw_proposals(item=comparison.item, source=FEED)
        elif not comparison.is_implausible:
            proposal = provider_price_changes.propose_price(
                item=comparison.item, listed=comparison.list_price, seen=comparison.feed_price, source=FEED
            )
            open_proposals += proposal is not None
    return open_proposals


def apply(comparisons: Iterable[PriceComparison], *, force: bool = False) -> tuple[list[Price], list[PriceComparison]]:
    """Adopt the feed's prices from now on; users pay as before. Returns the new prices and the comparisons refused.

    An implausible price is refused unless `force` is set; a price of zero or less is always refused.
    """
    adopted, refused = [], []
    for comparison in comparisons:
        if not comparison.differs or comparison.feed_price is None or comparison.user_price is None:
            continue
        if comparison.feed_price <= 0 or (comparison.is_implausible and not force):
            refused.append(replace(comparison, notes=(*comparison.notes, "refused")))
        else:
            adopted.append(
                provider_price_changes.set_price(
                    item=comparison.item, provider_credits=comparison.feed_price, user_credits=comparison.user_price
                )
            )
    margins.update_margin_alerts()
    return adopted, refused

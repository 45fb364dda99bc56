"""Compares the provider's public prices with our list: what differs, what that does to margins, and adopting them."""

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
    """One item of our list, of the feed, or of both. Prices in provider credits, but `user_price` in user credits."""

    item: Item
    list_price: Decimal | None
    feed_price: Decimal | None
    user_price: int | None
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether we sell it and the feed has another cost."""
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
        return None if self.list_price is None or self.user_price is None else Margin(self.user_price, self.list_price)

    @property
    def after(self) -> Margin | None:
        return None if self.feed_price is None or self.user_price is None else Margin(self.user_price, self.feed_price)


def feed_url() -> str:
    """The base URL of the feed: the current account's, else the one in the settings. It needs no key."""
    try:
        return provider_accounts.get_current_account().base_url
    except provider_accounts.NoProviderKey:
        base: str = settings.KIE_AI_BASE_URL
        return base


def compare() -> list[PriceComparison]:
    """Read the feed and compare it with the prices in force. Raises ProviderError when it cannot be read."""
    feed = {Item(*item): price for item, price in read_prices(feed_url()).items()}
    return compare_with(feed)


def compare_with(feed: dict[Item, FeedPrice]) -> list[PriceComparison]:
    """Compare every item of our list and of the feed; ours come first, in the order of the price list."""
    ours = {Item(quote.model, quote.resolution, quote.kind): quote for quote in prices.list_current_quotes()}
    lines = [
        PriceComparison(
            item=item,
            list_price=quote.provider_credits,
            feed_price=feed[item].provider_credits if item in feed else None,
            user_price=quote.user_credits,
            notes=feed[item].notes if item in feed else ("not in the feed",),
        )
        for item, quote in ours.items()
    ]
    unsold = sorted(item for item in feed if item not in ours)
    lines += [
        PriceComparison(
            item=item,
            list_price=None,
            feed_price=feed[item].provider_credits,
            user_price=None,
            notes=("not sold here",),
        )
        for item in unsold
    ]
    return lines


def propose(lines: Iterable[PriceComparison]) -> int:
    """Propose differences to the operators and withdraw outdated proposals; returns how many are open."""
    open_proposals = 0
    for line in lines:
        if line.list_price is None or line.feed_price is None:
            continue
        if not line.differs:
            provider_price_changes.withdraw_proposals(item=line.item, source=FEED)
        elif not line.is_implausible:
            proposal = provider_price_changes.propose_price(
                item=line.item, listed=line.list_price, seen=line.feed_price, source=FEED
            )
            open_proposals += proposal is not None
    return open_proposals


def apply(lines: Iterable[PriceComparison], *, force: bool = False) -> tuple[list[Price], list[PriceComparison]]:
    """Adopt the feed's prices from now on; users pay as before. Returns the new prices and what was refused.

    A price that looks like a mistake is refused unless forced; one of zero or less always.
    """
    adopted, refused = [], []
    for line in lines:
        if not line.differs or line.feed_price is None or line.user_price is None:
            continue
        if line.feed_price <= 0 or (line.is_implausible and not force):
            refused.append(replace(line, notes=(*line.notes, "refused")))
        else:
            adopted.append(
                provider_price_changes.set_price(
                    item=line.item, provider_credits=line.feed_price, user_credits=line.user_price
                )
            )
    margins.update_margin_alerts()
    return adopted, refused

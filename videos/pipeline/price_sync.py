"""The provider's public prices against our list: what differs, what that does to margins, and taking them over."""

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
class Line:
    """One item in our list, in the feed, or in both. Prices in provider credits; `users` pay whole user credits."""

    item: Item
    ours: Decimal | None
    theirs: Decimal | None
    users: int | None
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether we sell it at a cost that the feed contradicts."""
        return self.ours is not None and self.theirs is not None and self.ours != self.theirs

    @property
    def is_absurd(self) -> bool:
        """Whether the feed's price looks like a mistake of theirs."""
        return self.ours is not None and self.theirs is not None and is_absurd(self.ours, self.theirs)

    @property
    def before(self) -> Margin | None:
        return None if self.ours is None or self.users is None else Margin(self.users, self.ours)

    @property
    def after(self) -> Margin | None:
        return None if self.theirs is None or self.users is None else Margin(self.users, self.theirs)


def is_absurd(ours: Decimal, theirs: Decimal) -> bool:
    return provider_price_changes.is_implausible(listed=ours, seen=theirs)


def address() -> str:
    """Where the feed is: at the account that new work goes to, else where the settings say. It asks for no key."""
    try:
        return provider_accounts.get_current_account().base_url
    except provider_accounts.NoProviderKey:
        base: str = settings.KIE_AI_BASE_URL
        return base


def compare() -> list[Line]:
    """Read the feed and hold it against the prices in force. Raises a provider's error when it cannot be read."""
    feed = {Item(*item): price for item, price in read_prices(address()).items()}
    return compared(feed)


def compared(feed: dict[Item, FeedPrice]) -> list[Line]:
    """Every item of our list and of the feed, ours first, each in the order of the price list."""
    ours = {Item(quote.model, quote.resolution, quote.kind): quote for quote in prices.list_current_quotes()}
    lines = [
        Line(
            item=item,
            ours=quote.provider_credits,
            theirs=feed[item].provider_credits if item in feed else None,
            users=quote.user_credits,
            notes=feed[item].notes if item in feed else ("not in the feed",),
        )
        for item, quote in ours.items()
    ]
    unsold = sorted(item for item in feed if item not in ours)
    lines += [
        Line(item=item, ours=None, theirs=feed[item].provider_credits, users=None, notes=("not sold here",))
        for item in unsold
    ]
    return lines


def propose(lines: Iterable[Line]) -> int:
    """Put differences before the operators, and end proposals that reality has overtaken; returns how many stand."""
    standing = 0
    for line in lines:
        if line.ours is None or line.theirs is None:
            continue
        if not line.differs:
            provider_price_changes.withdraw_proposals(item=line.item, source=FEED)
        elif not line.is_absurd:
            proposal = provider_price_changes.propose_price(
                item=line.item, listed=line.ours, seen=line.theirs, source=FEED
            )
            standing += proposal is not None
    return standing


def apply(lines: Iterable[Line], *, force: bool = False) -> tuple[list[Price], list[Line]]:
    """Take over what differs, from now on, at the price users pay already; returns the new prices and what was refused.

    Refused is what looks like a mistake, unless forced; a price of zero or less always is.
    """
    taken, refused = [], []
    for line in lines:
        if not line.differs or line.theirs is None or line.users is None:
            continue
        if line.theirs <= 0 or (line.is_absurd and not force):
            refused.append(replace(line, notes=(*line.notes, "refused")))
        else:
            taken.append(
                provider_price_changes.set_price(item=line.item, provider_credits=line.theirs, user_credits=line.users)
            )
    margins.update_margin_alerts()
    return taken, refused

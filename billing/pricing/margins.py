"""The margin of each price: what users pay minus what we pay, with an alert when it is negative."""

from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings

from billing.alerts import services as alerts
from billing.common.formatting import format_plain
from billing.common.item_names import Item
from billing.pricing import prices

Kind = alerts.Kind


@dataclass(frozen=True)
class Margin:
    """The margin of a price, or of many jobs together, in US$ and as a percentage of what users pay."""

    user_credits: int
    provider_credits: Decimal

    @property
    def usd(self) -> Decimal:
        earned: Decimal = self.user_credits * settings.USD_PER_USER_CREDIT
        return earned - self.provider_credits * settings.USD_PER_PROVIDER_CREDIT

    @property
    def percent(self) -> Decimal | None:
        """The margin as a percentage of what users pay; None when user credits are free."""
        earned: Decimal = self.user_credits * settings.USD_PER_USER_CREDIT
        return self.usd / earned * 100 if earned else None

    @property
    def is_negative(self) -> bool:
        """Whether we pay more than we earn; never while user credits are free."""
        return self.usd < 0 and settings.USD_PER_USER_CREDIT > 0


def update_margin_alerts() -> list[prices.Quote]:
    """Raise an alert for each current price below its cost, and resolve the alerts of the other prices.

    Returns the prices that are below their cost.
    """
    below = []
    for quote in prices.list_current_quotes():
        item = Item(quote.model, quote.resolution, quote.kind)
        margin = Margin(quote.user_credits, quote.provider_credits)
        if margin.is_negative:
            below.append(quote)
            facts = {
                "user_credits": quote.user_credits,
                "provider_credits": format_plain(quote.provider_credits),
                "loss": format_plain(round(-margin.usd, 4)),
            }
            alerts.raise_alert(Kind.NEGATIVE_MARGIN, cause=str(item), facts=facts)
        else:
            alerts.resolve_alerts(Kind.NEGATIVE_MARGIN, cause=str(item))
    return below

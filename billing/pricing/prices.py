"""The price list: what a job costs us and the user at a given time. An order without a price is refused."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from accounts.seams import clock
from billing.models import Price

Kind = Price.Kind
# Kinds of jobs that make a new video; the others change an existing one.
NEW_VIDEOS = (Kind.GENERATE, Kind.REFERENCE)


class NoPrice(Exception):
    """There is no price for this model, resolution and kind."""


@dataclass(frozen=True, kw_only=True)
class Quote:
    """The price of a job: what its user pays, what we pay, and the value of one provider credit in US$.

    User credits are whole numbers, provider credits are decimals.
    """

    model: str
    resolution: str
    kind: str
    user_credits: int
    provider_credits: Decimal
    usd_per_credit: Decimal

    @property
    def usd(self) -> Decimal:
        return self.provider_credits * self.usd_per_credit


def get_quote(*, model: str, resolution: str, kind: str = Kind.GENERATE, at: datetime | None = None) -> Quote:
    """The newest price valid at `at` (now unless given). Raises NoPrice."""
    price = (
        Price.objects.filter(model=model, resolution=resolution, kind=kind, valid_from__lte=at or clock.now())
        .order_by("-valid_from")
        .first()
    )
    if price is None or price.provider_credits <= 0 or price.user_credits <= 0:
        raise NoPrice(f"{model} {resolution} {kind}")
    return _quote(price)


def list_current_prices(*, at: datetime | None = None) -> list[Price]:
    """The newest price of each item that is valid at `at` (now unless given)."""
    newest: dict[tuple[str, str, str], Price] = {}
    for price in Price.objects.filter(valid_from__lte=at or clock.now()).order_by("valid_from"):
        newest[price.kind, price.model, price.resolution] = price
    return list(newest.values())


def list_current_quotes(*, at: datetime | None = None) -> list[Quote]:
    """The price of every item at `at`, cheapest first within a kind."""
    return [
        _quote(price)
        for price in sorted(list_current_prices(at=at), key=lambda price: (price.kind, price.user_credits))
    ]


def get_lowest_cost(*, at: datetime | None = None, model: str = "") -> Decimal | None:
    """The lowest cost of a new video (of this model) at `at`, in provider credits; None if none is sold.

    A budget or a balance with less than this left blocks every new video.
    """
    costs = new_video_prices(at=at).values_list("model", "provider_credits")
    return min((cost for name, cost in costs if model in ("", name)), default=None)


def new_video_prices(*, at: datetime | None = None) -> QuerySet[Price]:
    """The newest prices of new videos at `at` (now unless given), as a query to combine with others."""
    started = Price.objects.filter(valid_from__lte=at or clock.now(), kind__in=NEW_VIDEOS).order_by()
    same_item = {name: OuterRef(name) for name in ("model", "resolution", "kind")}
    return started.filter(~Exists(started.filter(**same_item, valid_from__gt=OuterRef("valid_from"))))


def _quote(price: Price) -> Quote:
    return Quote(
        model=price.model,
        resolution=price.resolution,
        kind=price.kind,
        user_credits=price.user_credits,
        provider_credits=price.provider_credits,
        usd_per_credit=settings.USD_PER_PROVIDER_CREDIT,
    )

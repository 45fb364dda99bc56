"""Prices: what one job costs us and its user, at a moment. A missing price refuses the job."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from accounts.seams import clock
from billing.models import Price

Kind = Price.Kind
# What can be ordered by itself; the others are made of a video that is there already, and some cost next to nothing.
NEW_VIDEOS = (Kind.GENERATE, Kind.REFERENCE)


class NoPrice(Exception):
    """Nothing is sold under that model, resolution and kind today."""


@dataclass(frozen=True, kw_only=True)
class Quote:
    """The price of one job: whole user credits, decimal provider credits, and those in US$."""

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
    """Every item's price valid at `at`, cheapest first within a kind."""
    return [
        _quote(price)
        for price in sorted(list_current_prices(at=at), key=lambda price: (price.kind, price.user_credits))
    ]


def get_lowest_cost(*, at: datetime | None = None, model: str = "") -> Decimal | None:
    """The least that a new video, of this model if one is named, costs us at `at` in provider credits; None if none is sold.

    A budget or a balance that has less room than this stops all of them.
    """
    sold = new_video_prices(at=at).values_list("model", "provider_credits")
    return min((cost for name, cost in sold if model in ("", name)), default=None)


def new_video_prices(*, at: datetime | None = None) -> QuerySet[Price]:
    """The newest price of each new video that is valid at `at` (now unless given), for a statement that reads more."""
    known = Price.objects.filter(valid_from__lte=at or clock.now(), kind__in=NEW_VIDEOS).order_by()
    same = {name: OuterRef(name) for name in ("model", "resolution", "kind")}
    return known.filter(~Exists(known.filter(**same, valid_from__gt=OuterRef("valid_from"))))


def _quote(price: Price) -> Quote:
    return Quote(
        model=price.model,
        resolution=price.resolution,
        kind=price.kind,
        user_credits=price.user_credits,
        provider_credits=price.provider_credits,
        usd_per_credit=settings.USD_PER_PROVIDER_CREDIT,
    )

"""What the studio can offer for the settings chosen so far: what is possible, what each costs, what is left afterwards.

First paint and live price come from the same `Offer`, so they cannot disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from accounts.models import User
from billing.credits import ledger
from billing.pricing import prices as pricing
from billing.pricing.prices import Quote
from videos.ordering import availability as outlook
from videos.ordering import catalogue
from videos.ordering.availability import Availability
from videos.ordering.input_modes import (
    ASPECT_LABELS,
    GENERATION_TYPES,
    RESOLUTION_LABELS,
    Mode,
    aspects_for,
    models_for,
)
from videos.ordering.typical_times import TypicalTime, typical_times
from videos.ordering.user_limits import UserLimits, get_limits


@dataclass(frozen=True)
class Settings:
    """A possible combination: whatever was asked for, moved to the nearest thing that can be made."""

    mode: str = Mode.TEXT
    model: str = "veo3_fast"
    aspect_ratio: str = "16:9"
    resolution: str = "720p"
    duration_s: int = 8


@dataclass(frozen=True)
class Option:
    """One choice: its value, what it is called, whether it is the chosen one, and how it moves the price."""

    value: str
    label: str | Promise
    chosen: bool
    extra_credits: int = 0

    @property
    def fewer_credits(self) -> int:
        return -self.extra_credits


@dataclass(frozen=True)
class ModelOption:
    """A model with its price at the chosen resolution and its usual time."""

    model: catalogue.Model
    chosen: bool
    user_credits: int
    usual: TypicalTime


@dataclass(frozen=True, kw_only=True)
class StudioOptions:
    """Everything the form shows about `settings`. `quote` is None when nothing is sold under them."""

    settings: Settings
    models: list[ModelOption]
    aspects: list[Option]
    resolutions: list[Option]
    lengths: list[Option]
    quote: Quote | None
    balance: int
    limits: UserLimits
    outlook: Availability  # what this order would meet now
    moved: list[str] = field(default_factory=list)  # sentences: what was changed because it could not be made

    @property
    def chosen(self) -> ModelOption | None:
        return next((option for option in self.models if option.chosen), None)

    @property
    def left(self) -> int:
        """What stays in the purse; below zero: what is missing."""
        return self.balance - (self.quote.user_credits if self.quote else 0)

    @property
    def more(self) -> int | None:
        """How many more of these the person may order for now; None when nobody limits that."""
        room = self.limits.room
        return room.more_of(self.quote) if room and self.quote else None

    @property
    def may_promise(self) -> bool:
        """Whether it may be said how long it takes: the order would be taken, and made in its turn."""
        crowded = self.limits.active >= self.limits.most_active
        return self.outlook.is_taken and not self.outlook.wait and not crowded

    @property
    def missing(self) -> int:
        return max(0, -self.left)


def find_price(*, model: str, resolution: str, mode: str = Mode.TEXT) -> Quote | None:
    """The price of one video now; None when nothing is sold under that."""
    try:
        return pricing.get_quote(model=model, resolution=resolution, kind=price_kind(mode))
    except pricing.NoPrice:
        return None


@dataclass(frozen=True)
class PriceRow:
    """A model's user credits by resolution, in the order of `RESOLUTION_NAMES`; None where it is not sold."""

    title: str
    credits: list[int | None]


def list_price_rows() -> list[PriceRow]:
    """What a video costs now, for the table of prices."""
    prices = {
        (item.model, item.resolution): item.user_credits
        for item in pricing.list_current_quotes()
        if item.kind == price_kind(Mode.TEXT)
    }
    return [
        PriceRow(model.title, [prices.get((model.name, resolution)) for resolution in RESOLUTION_LABELS])
        for model in catalogue.CATALOGUE
    ]


def price_kind(mode: str) -> str:
    """The price list's kind for a mode."""
    return catalogue.price_kind(GENERATION_TYPES[Mode(mode)])


def build_options(*, user: User, asked: Mapping[str, Any]) -> StudioOptions:
    """The offer for whatever `asked` holds (a query string, a form's values): odd values fall back to what works."""
    settings, moved = fit_settings(asked)
    prices = {
        (item.model, item.resolution): item
        for item in pricing.list_current_quotes()
        if item.kind == price_kind(settings.mode)
    }
    quote = prices.get((settings.model, settings.resolution))
    usual = typical_times()
    cards = [
        ModelOption(
            model=model,
            chosen=model.name == settings.model,
            user_credits=prices[model.name, settings.resolution].user_credits,
            usual=usual[model.name],
        )
        for model in models_for(settings.mode)
        if (model.name, settings.resolution) in prices
    ]
    return StudioOptions(
        settings=settings,
        models=cards,
        aspects=[
            Option(code, ASPECT_LABELS[code], code == settings.aspect_ratio) for code in aspects_for(settings.mode)
        ],
        resolutions=[
            Option(
                code,
                label,
                code == settings.resolution,
                prices[settings.model, code].user_credits - (quote.user_credits if quote else 0),
            )
            for code, label in RESOLUTION_LABELS.items()
            if (settings.model, code) in prices
        ],
        lengths=[
            Option(str(length), _("%(seconds)d s") % {"seconds": length}, length == settings.duration_s)
            for length in catalogue.allowed_durations_s(GENERATION_TYPES[Mode(settings.mode)])
        ],
        quote=quote,
        balance=ledger.balance_of(user),
        limits=get_limits(user),
        outlook=outlook.check_availability(user=user, quote=quote),
        moved=moved,
    )


def fit_settings(asked: Mapping[str, Any]) -> tuple[Settings, list[str]]:
    """`asked` as a combination that can be made, and a sentence for each choice of a person that had to move."""
    usual = Settings()
    moved: list[str] = []
    mode = _pick(asked.get("mode"), Mode.values, usual.mode)
    codes = [model.name for model in models_for(mode)]
    model = _pick(asked.get("model"), codes, usual.model)
    if asked.get("model") in catalogue.MODELS and asked.get("model") != model:
        moved.append(
            _("Reference images work with Fast and Lite, so %(model)s is chosen now.")
            % {"model": catalogue.model_title(model)}
        )
    lengths = [str(length) for length in catalogue.allowed_durations_s(GENERATION_TYPES[Mode(mode)])]
    length = _pick(str(asked.get("duration_s") or ""), lengths, str(usual.duration_s))
    if mode == Mode.REFERENCE and str(asked.get("duration_s")) not in (length, "None", ""):
        moved.append(_("Videos from reference images are always 8 seconds long."))
    return (
        Settings(
            mode=mode,
            model=model,
            aspect_ratio=_pick(asked.get("aspect_ratio"), aspects_for(mode), usual.aspect_ratio),
            resolution=_pick(asked.get("resolution"), list(catalogue.RESOLUTIONS), usual.resolution),
            duration_s=int(length),
        ),
        moved,
    )


def _pick(value: Any, allowed: list[str], otherwise: str) -> str:
    return value if value in allowed else otherwise

"""The studio's options for the settings chosen so far: what is possible, what each choice costs, what is left afterwards.

The page and its live price both render `StudioOptions`, so they cannot disagree.
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
from videos.ordering import availability, catalogue
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
    """A valid combination of settings."""

    mode: str = Mode.TEXT
    model: str = "veo3_fast"
    aspect_ratio: str = "16:9"
    resolution: str = "720p"
    duration_s: int = 8


@dataclass(frozen=True)
class Option:
    """One choice of a setting. `extra_credits` is how much more it costs than the current choice; may be negative."""

    value: str
    label: str | Promise
    is_selected: bool
    extra_credits: int = 0

    @property
    def fewer_credits(self) -> int:
        return -self.extra_credits


@dataclass(frozen=True)
class ModelOption:
    """A model with its price at the selected resolution and its typical time."""

    model: catalogue.Model
    is_selected: bool
    user_credits: int
    typical: TypicalTime


@dataclass(frozen=True, kw_only=True)
class StudioOptions:
    """Everything the form shows about `settings`. `quote` is None if this combination is not sold."""

    settings: Settings
    models: list[ModelOption]
    aspects: list[Option]
    resolutions: list[Option]
    durations: list[Option]
    quote: Quote | None
    balance: int
    limits: UserLimits
    availability: Availability
    adjustments: list[str] = field(default_factory=list)  # sentences about requested settings that had to change

    @property
    def selected_model(self) -> ModelOption | None:
        return next((option for option in self.models if option.is_selected), None)

    @property
    def balance_after(self) -> int:
        """The balance after this order; negative if the user has too few credits."""
        return self.balance - (self.quote.user_credits if self.quote else 0)

    @property
    def orders_left(self) -> int | None:
        """How many more orders like this the user's budget allows; None without a budget or a price."""
        allowance = self.limits.allowance
        return allowance.count_affordable(self.quote) if allowance and self.quote else None

    @property
    def shows_estimate(self) -> bool:
        """Whether to show how long it takes: only if the order would be accepted and start when its turn comes."""
        is_at_maximum = self.limits.active >= self.limits.max_active
        return self.availability.accepts_order and not self.availability.notice and not is_at_maximum

    @property
    def missing_credits(self) -> int:
        return max(0, -self.balance_after)


def find_price(*, model: str, resolution: str, mode: str = Mode.TEXT) -> Quote | None:
    """The price of one video now; None if this combination is not sold."""
    try:
        return pricing.get_quote(model=model, resolution=resolution, kind=price_kind(mode))
    except pricing.NoPrice:
        return None


@dataclass(frozen=True)
class PriceRow:
    """A model's price in user credits by resolution, in the order of `RESOLUTION_LABELS`; None where it is not sold."""

    title: str
    credits: list[int | None]


def list_price_rows() -> list[PriceRow]:
    """What a video costs now, for the price table."""
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
    """The kind under which the price list sells a mode."""
    return catalogue.price_kind(GENERATION_TYPES[Mode(mode)])


def build_options(*, user: User, requested: Mapping[str, Any]) -> StudioOptions:
    """The options for `requested` (a query string or a form's values); invalid values are replaced by valid ones."""
    settings, adjustments = fit_settings(requested)
    prices = {
        (item.model, item.resolution): item
        for item in pricing.list_current_quotes()
        if item.kind == price_kind(settings.mode)
    }
    quote = prices.get((settings.model, settings.resolution))
    typical = typical_times()
    model_options = [
        ModelOption(
            model=model,
            is_selected=model.name == settings.model,
            user_credits=prices[model.name, settings.resolution].user_credits,
            typical=typical[model.name],
        )
        for model in models_for(settings.mode)
        if (model.name, settings.resolution) in prices
    ]
    return StudioOptions(
        settings=settings,
        models=model_options,
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
        durations=[
            Option(str(duration), _("%(seconds)d s") % {"seconds": duration}, duration == settings.duration_s)
            for duration in catalogue.allowed_durations_s(GENERATION_TYPES[Mode(settings.mode)])
        ],
        quote=quote,
        balance=ledger.balance_of(user),
        limits=get_limits(user),
        availability=availability.check_availability(user=user, quote=quote),
        adjustments=adjustments,
    )


def fit_settings(requested: Mapping[str, Any]) -> tuple[Settings, list[str]]:
    """The valid combination nearest to `requested`, and a sentence for each requested setting that had to change."""
    defaults = Settings()
    adjustments: list[str] = []
    mode = _pick(requested.get("mode"), Mode.values, defaults.mode)
    codes = [model.name for model in models_for(mode)]
    model = _pick(requested.get("model"), codes, defaults.model)
    if requested.get("model") in catalogue.MODELS and requested.get("model") != model:
        adjustments.append(
            _("Reference images work with Fast and Lite, so %(model)s was selected.")
            % {"model": catalogue.model_title(model)}
        )
    durations = [str(duration) for duration in catalogue.allowed_durations_s(GENERATION_TYPES[Mode(mode)])]
    duration = _pick(str(requested.get("duration_s") or ""), durations, str(defaults.duration_s))
    if mode == Mode.REFERENCE and str(requested.get("duration_s")) not in (duration, "None", ""):
        adjustments.append(_("Videos from reference images are always 8 seconds long."))
    return (
        Settings(
            mode=mode,
            model=model,
            aspect_ratio=_pick(requested.get("aspect_ratio"), aspects_for(mode), defaults.aspect_ratio),
            resolution=_pick(requested.get("resolution"), list(catalogue.RESOLUTIONS), defaults.resolution),
            duration_s=int(duration),
        ),
        adjustments,
    )


def _pick(value: Any, allowed: list[str], default: str) -> str:
    return value if value in allowed else default

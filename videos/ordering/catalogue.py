"""What can be ordered: the models, their inputs, resolutions and durations. Names are the provider's API codes.

Prices are not here: they are rows of the price list (`billing.pricing`).
"""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing.common import item_names
from billing.pricing.prices import Kind
from videos.models import VideoTask

# What a video is made from: TEXT is the prompt alone, FRAMES adds a first and perhaps a last frame, REFERENCE adds
# images that show what should appear.
GenerationType = VideoTask.GenerationType


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model. `name` is the provider's API code, `title` a brand name that is never translated."""

    name: str
    title: str
    good_for: Promise
    typical_s: int  # seconds, from published run times; used until enough of our own videos were timed
    generation_types: frozenset[str] = frozenset({GenerationType.TEXT, GenerationType.FRAMES, GenerationType.REFERENCE})


CATALOGUE = (
    Model(name="veo3_fast", title="Veo 3.1 Fast", good_for=_("for drafts and social media"), typical_s=75),
    Model(
        name="veo3",
        title="Veo 3.1 Quality",
        good_for=_("for the final version"),
        typical_s=150,
        generation_types=frozenset({GenerationType.TEXT, GenerationType.FRAMES}),
    ),
    Model(name="veo3_lite", title="Veo 3.1 Lite", good_for=_("for quick sketches"), typical_s=60),
)
MODELS = {model.name: model for model in CATALOGUE}
# The billing app shows these titles but must not import this module, so they are registered there.
item_names.register_model_titles({model.name: model.title for model in CATALOGUE})

ASPECT_RATIOS = ("16:9", "9:16", "Auto")
RESOLUTIONS = ("720p", "1080p", "4k")
# Minimum and maximum number of images by generation type.
IMAGE_COUNTS: dict[str, tuple[int, int]] = {
    GenerationType.TEXT: (0, 0),
    GenerationType.FRAMES: (1, 2),
    GenerationType.REFERENCE: (1, 3),
}
# The provider documents no limit; other clients cap prompts at 1,000 or 2,000 characters.
PROMPT_LIMIT = 2000
WATERMARK_LIMIT = 40
SEED_RANGE = (10_000, 99_999)


def allowed_durations_s(generation_type: str) -> tuple[int, ...]:
    """The durations in seconds that a generation type allows."""
    return (8,) if generation_type == GenerationType.REFERENCE else (4, 6, 8)


def price_kind(generation_type: str) -> Kind:
    """The kind under which the price list sells a generation type."""
    return Kind.REFERENCE if generation_type == GenerationType.REFERENCE else Kind.GENERATE


def model_title(name: str) -> str:
    """The brand name of a model, given its code; the code itself if the model is not in the catalogue."""
    return MODELS[name].title if name in MODELS else name

"""What can be made: the models, what each works from, how long a video may be. Names are the provider's wire codes."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing.common import item_names
from billing.pricing.prices import Kind
from videos.models import VideoTask

GenerationType = VideoTask.GenerationType


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model. `name` is the wire's code, `title` a brand that is never translated."""

    name: str
    title: str
    good_for: Promise
    usual_s: int  # from published run times; a guess until enough videos of our own were timed
    made_from: frozenset[str] = frozenset({GenerationType.TEXT, GenerationType.FRAMES, GenerationType.REFERENCE})


CATALOGUE = (
    Model(name="veo3_fast", title="Veo 3.1 Fast", good_for=_("good for takes and social"), usual_s=75),
    Model(
        name="veo3",
        title="Veo 3.1 Quality",
        good_for=_("for the take you keep"),
        usual_s=150,
        made_from=frozenset({GenerationType.TEXT, GenerationType.FRAMES}),
    ),
    Model(name="veo3_lite", title="Veo 3.1 Lite", good_for=_("for sketches"), usual_s=60),
)
MODELS = {model.name: model for model in CATALOGUE}
# The price list and the provider's books speak of models by the same names.
item_names.register_model_titles({model.name: model.title for model in CATALOGUE})

ASPECT_RATIOS = ("16:9", "9:16", "Auto")
RESOLUTIONS = ("720p", "1080p", "4k")
# How many images each way of making takes: fewest, most.
IMAGE_COUNTS: dict[str, tuple[int, int]] = {
    GenerationType.TEXT: (0, 0),
    GenerationType.FRAMES: (1, 2),
    GenerationType.REFERENCE: (1, 3),
}
# No copy of the provider's documentation says a limit; clients cap at 1,000 or 2,000 characters.
PROMPT_LIMIT = 2000
WATERMARK_LIMIT = 40
SEED_RANGE = (10_000, 99_999)


def allowed_durations_s(generation_type: str) -> tuple[int, ...]:
    """The lengths in seconds that a way of making allows."""
    return (8,) if generation_type == GenerationType.REFERENCE else (4, 6, 8)


def price_kind(generation_type: str) -> Kind:
    """Under which kind of the price list it is sold."""
    return Kind.REFERENCE if generation_type == GenerationType.REFERENCE else Kind.GENERATE


def model_title(name: str) -> str:
    """What people call the model; its code if we do not know it (any more)."""
    return MODELS[name].title if name in MODELS else name

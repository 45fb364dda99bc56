"""Three example prompts for new users, each with a picture; choosing one fills the form."""

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from videos.ordering import catalogue
from videos.ordering.studio_options import find_price


@dataclass(frozen=True)
class Example:
    """A prompt with its settings. `still` is a static image file of `width` by `height` pixels."""

    name: str
    prompt: Promise
    model: str
    aspect_ratio: str
    still: str
    width: int
    height: int
    duration_s: int = 8

    @property
    def is_tall(self) -> bool:
        return self.height > self.width

    @property
    def title(self) -> str:
        return catalogue.model_title(self.model)

    def user_credits(self) -> int | None:
        """The price of the example now; None if it has no price."""
        quote = find_price(model=self.model, resolution="720p")
        return quote.user_credits if quote else None

    def form_values(self) -> dict[str, Any]:
        """Initial values for the studio form."""
        return {
            "prompt": str(self.prompt),
            "model": self.model,
            "aspect_ratio": self.aspect_ratio,
            "duration_s": self.duration_s,
        }


EXAMPLES = (
    Example(
        "lighthouse",
        _(
            "A lighthouse at dusk on a rocky coast, long waves rolling in, slow dolly towards the lamp as it lights, "
            "warm light against blue fog, sound of distant surf"
        ),
        "veo3_fast",
        "16:9",
        "img/still-lighthouse.webp",
        1600,
        900,
    ),
    Example(
        "street",
        _(
            "A paper boat drifts down a rain-lit street at night, neon trembling in the water, "
            "low tracking shot beside it, soft rain"
        ),
        "veo3_fast",
        "9:16",
        "img/still-street.webp",
        720,
        1280,
    ),
    Example(
        "dunes",
        _(
            "Dunes at first light, wind lifting sand off the crest, a lone walker, crane shot rising, "
            "long shadows, only the wind to hear"
        ),
        "veo3_lite",
        "16:9",
        "img/still-dunes.webp",
        1200,
        675,
    ),
)
BY_NAME = {example.name: example for example in EXAMPLES}

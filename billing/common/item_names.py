"""Names of the items on the price list. An item is one kind of job on one model in one resolution.

`videos.ordering.catalogue` registers the titles of models.
"""

from collections.abc import Mapping
from typing import NamedTuple

from billing.models import Price

_titles: dict[str, str] = {}


class Item(NamedTuple):
    """An item of the price list."""

    model: str
    resolution: str
    kind: str

    def __str__(self) -> str:
        """For logs, alert causes and commands: `veo3_fast 1080p generate`."""
        return f"{self.model} {self.resolution} {self.kind}"

    @property
    def name(self) -> str:
        """For people: `Veo 3.1 Fast 1080p · Extension`."""
        kinds = dict(Price.Kind.choices)
        return f"{get_model_title(self.model)} {self.resolution} · {kinds.get(self.kind, self.kind)}"


def register_model_titles(titles: Mapping[str, str]) -> None:
    """Register the titles of models, by the model's code."""
    _titles.update(titles)


def get_model_title(model: str) -> str:
    """The title of a model, such as `Veo 3.1 Fast`, or its code if it has no title."""
    return _titles.get(model, model)


def get_model_titles() -> dict[str, str]:
    """All registered titles, by the model's code."""
    return dict(_titles)

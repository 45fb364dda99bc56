"""What people call the things on the price list. Models get their names from whoever sells them: `videos.ordering.catalogue`."""

from collections.abc import Mapping
from typing import NamedTuple

from billing.models import Price

_titles: dict[str, str] = {}


class Item(NamedTuple):
    """One line of the price list."""

    model: str
    resolution: str
    kind: str

    def __str__(self) -> str:
        """As logs, alerts and commands write it: `veo3_fast 1080p generate`."""
        return f"{self.model} {self.resolution} {self.kind}"

    @property
    def name(self) -> str:
        """As people read it: `Veo 3.1 Fast 1080p · Extension`."""
        kinds = dict(Price.Kind.choices)
        return f"{get_model_title(self.model)} {self.resolution} · {kinds.get(self.kind, self.kind)}"


def register_model_titles(titles: Mapping[str, str]) -> None:
    """Tell what people call models, by their code."""
    _titles.update(titles)


def get_model_title(model: str) -> str:
    """`Veo 3.1 Fast`; the code of a model that nobody named."""
    return _titles.get(model, model)


def get_model_titles() -> dict[str, str]:
    """Every model that has a name, by its code."""
    return dict(_titles)

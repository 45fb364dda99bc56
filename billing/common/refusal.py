"""The base of all refusals of orders."""

from typing import Any


class Refusal(Exception):
    """An order is refused. `code` never changes; `str()` is a sentence in the active language with values of `facts`."""

    code = "refused"

    def __init__(self, **facts: Any) -> None:
        super().__init__(self.code)
        self.facts = facts

    def __str__(self) -> str:
        return self.sentence()

    def sentence(self) -> str:
        """The reason as a sentence for the user. Each refusal implements it."""
        raise NotImplementedError

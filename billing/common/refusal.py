"""The base of all refusals of orders."""

from typing import Any


class Refusal(Exception):
    """An order is refused. `code` names the reason for programs and never changes.

    `str()` gives the reason as a sentence in the active language, in which the values of `facts` are filled in.
    """

    code = "refused"

    def __init__(self, **facts: Any) -> None:
        super().__init__(self.code)
        self.facts = facts

    def __str__(self) -> str:
        return self.sentence()

    def sentence(self) -> str:
        """The reason as a sentence for the user. Each refusal implements it."""
        raise NotImplementedError

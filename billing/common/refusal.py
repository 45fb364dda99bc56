"""What every refusal of an order is."""

from typing import Any


class Refusal(Exception):
    """An order that is not taken. `code` is stable; `str()` is a sentence in the reader's language."""

    code = "refused"

    def __init__(self, **facts: Any) -> None:
        super().__init__(self.code)
        self.facts = facts

    def __str__(self) -> str:
        return self.sentence()

    def sentence(self) -> str:
        raise NotImplementedError

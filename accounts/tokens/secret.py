"""What a token looks like, and how it is kept out of whatever is written down. Knows no Django."""

import re

BEGINNING = "veo_"
PREFIX_LENGTH = 12

_SECRET = re.compile(rf"\b({BEGINNING}[A-Za-z0-9_-]{{{PREFIX_LENGTH - len(BEGINNING)}}})[A-Za-z0-9_-]{{12,}}")


def hidden(text: str) -> str:
    """The text with every token cut to the beginning that the list shows."""
    return _SECRET.sub(r"\1***", text)

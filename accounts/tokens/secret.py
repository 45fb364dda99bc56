"""The format of a token, and how it is masked in logs. Does not import Django."""

import re

PREFIX = "veo_"
SHOWN_LENGTH = 12

_SECRET = re.compile(rf"\b({PREFIX}[A-Za-z0-9_-]{{{SHOWN_LENGTH - len(PREFIX)}}})[A-Za-z0-9_-]{{12,}}")


def mask_tokens(text: str) -> str:
    """The text, in which every token is cut to the characters that the admin's list shows."""
    return _SECRET.sub(r"\1***", text)

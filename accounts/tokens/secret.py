"""The format of a token, and how it is masked in logs. Does not import Django."""

import re

PREFIX = "veo_"
SHOWN_LENGTH = 12  # how many characters of a token lists and logs show, including the prefix

_SECRET = re.compile(rf"\b({PREFIX}[A-Za-z0-9_-]{{{SHOWN_LENGTH - len(PREFIX)}}})[A-Za-z0-9_-]{{12,}}")


def mask_tokens(text: str) -> str:
    """Return the text with every token cut to its first SHOWN_LENGTH characters, which the admin's list shows too."""
    return _SECRET.sub(r"\1***", text)

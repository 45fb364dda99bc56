"""The one secret that stands in an address, a task's callback token, kept out of whatever is written down. Knows no Django."""

import re

_TOKEN = re.compile(r"(/api/veo/callback/[^/\s]{1,40}/)[A-Za-z0-9_-]{16,}")


def hidden(text: str) -> str:
    """The text without the tokens of our callback addresses."""
    return _TOKEN.sub(r"\1***", text)

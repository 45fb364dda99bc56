"""The secret token in a task's callback address: its hash, its check, and masking it in texts. Does not use Django."""

import hashlib
import hmac
import re

_TOKEN = re.compile(r"(/api/veo/callback/[^/\s]{1,40}/)[A-Za-z0-9_-]{16,}")


def hash_token(token: str) -> str:
    """The hash of a token, which is all that is stored of it."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_valid_token(token: str, *, stored_hash: str) -> bool:
    """Whether `stored_hash` is the hash of this token. An empty hash (no such task) takes as long."""
    return hmac.compare_digest(hash_token(token), stored_hash or "-" * 64)


def mask_tokens(text: str) -> str:
    """The text with the tokens of our callback addresses replaced by `***`."""
    return _TOKEN.sub(r"\1***", text)

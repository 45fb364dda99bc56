"""How a log line is written: with the time, the level and the logger, and without the secret of any callback address or token."""

import logging

from accounts.tokens import secret
from videos.pipeline import callback_tokens


class SecretMaskingFormatter(logging.Formatter):
    """Django logs the path of every request it refuses; tracebacks may name one too. So the finished line is cleaned."""

    def format(self, record: logging.LogRecord) -> str:
        return secret.mask_tokens(callback_tokens.hidden(super().format(record)))

"""Formats log lines and masks the secrets of callback addresses and API tokens."""

import logging

from accounts.tokens import secret
from videos.pipeline import callback_tokens


class SecretMaskingFormatter(logging.Formatter):
    """Masks secrets in the finished line, because Django logs request paths and tracebacks may contain one too."""

    def format(self, record: logging.LogRecord) -> str:
        return secret.mask_tokens(callback_tokens.mask_tokens(super().format(record)))

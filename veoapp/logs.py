"""How a log line is written: with the time, the level and the logger, and without the secret of any callback address or token."""

import logging

from accounts import token_secret
from videos import callback_secret


class Lines(logging.Formatter):
    """Django logs the path of every request it refuses; tracebacks may name one too. So the finished line is cleaned."""

    def format(self, record: logging.LogRecord) -> str:
        return token_secret.hidden(callback_secret.hidden(super().format(record)))

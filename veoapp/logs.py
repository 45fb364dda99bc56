"""How a log line is written: with the time, the level and the logger, and without the secret of any callback address."""

import logging

from videos.callback_secret import hidden


class Lines(logging.Formatter):
    """Django logs the path of every request it refuses; tracebacks may name one too. So the finished line is cleaned."""

    def format(self, record: logging.LogRecord) -> str:
        return hidden(super().format(record))

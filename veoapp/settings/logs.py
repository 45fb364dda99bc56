"""Logging: one line for each record on the console, without secrets."""

from typing import Any

from veoapp.settings.base import env

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "veoapp.logs.SecretMaskingFormatter",
            "fmt": "{asctime} {levelname} {name} {message}",
            "style": "{",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        # No handlers here: Django's own would write each line a second time, without masking its secrets.
        "django": {"level": "INFO", "handlers": []},
        "django.server": {"level": "INFO", "handlers": [], "propagate": True},
        # Request lines contain the secret token of the callback address.
        "urllib3": {"level": "WARNING"},
        "django-q": {"level": "WARNING"},
    },
}

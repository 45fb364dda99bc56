"""Fixtures for every test: the cast, the database, a browser, a mail server, an S3 server."""

import hypothesis
import pytest
from django.conf import settings

pytest_plugins = [
    "tests.database",
    "tests.people",
    "tests.alert_facts",
    "tests.browsing",
    "tests.mail",
    "tests.s3",
    "tests.sandbox",
    "tests.videos.world",
    "tests.stack",
]


def pytest_configure(config: pytest.Config) -> None:
    """What production cannot share: a hash that is fast to make, static files without a manifest; no haste."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.WHITENOISE_AUTOREFRESH = True
    settings.WHITENOISE_USE_FINDERS = True
    # On a busy machine an example takes as long as it takes.
    hypothesis.settings.register_profile("unhurried", deadline=None)
    hypothesis.settings.load_profile("unhurried")

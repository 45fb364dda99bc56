"""Fixtures for every test: users, database, browser, SMTP server, S3 server, sandbox."""

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
    """Settings that differ from production: a fast password hash, static files without a manifest."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.WHITENOISE_AUTOREFRESH = True
    settings.WHITENOISE_USE_FINDERS = True
    # On a busy machine an example may take long.
    hypothesis.settings.register_profile("no_deadline", deadline=None)
    hypothesis.settings.load_profile("no_deadline")

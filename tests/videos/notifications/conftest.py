"""A real mail server, a webhook and a stopped clock for tests of notifications."""

from collections.abc import Callable, Iterator

import pytest
from pytest_django.fixtures import Settings

from accounts.seams import clock
from tests.clocks import ManualClock
from tests.mail import Mailbox
from tests.videos.notifications.delivery import OLGA, SECRET


@pytest.fixture
def manual_clock() -> Iterator[ManualClock]:
    """A stopped clock."""
    stopped_clock = ManualClock()
    with clock.replaced(stopped_clock):
        yield stopped_clock


@pytest.fixture
def mail_server(smtp_server: Mailbox, settings: Settings) -> Mailbox:
    """A real mail server; alerts go to Olga."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", smtp_server.port
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.COST_ALERT_EMAIL = [OLGA]
    return smtp_server


@pytest.fixture
def webhook(settings: Settings) -> Callable[[str], None]:
    """Set the webhook's address."""
    settings.COST_ALERT_EMAIL = []
    settings.ALERT_WEBHOOK_SECRET = SECRET

    def set_address(url: str) -> None:
        settings.ALERT_WEBHOOK_URL = url

    return set_address

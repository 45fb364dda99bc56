"""Fixtures for tests of the providers."""

import socket

import pytest

from videos.providers.http import exchange
from videos.providers.kie.client import Kie

KEY = "canary-key-5f7d4e0f1db5"
API = "https://api.kie.test"
UPLOADS = "https://uploads.kie.test"


@pytest.fixture
def kie() -> Kie:
    return Kie(KEY, API, UPLOADS)


@pytest.fixture
def closed_port() -> int:
    """A port on which no server listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def short_limits() -> exchange.Limits:
    return exchange.Limits(connect_s=1.0, read_s=0.5, total_s=1.0)

"""A user with credits and the sandbox as provider."""

import pytest

from accounts.models import User
from tests.people import give_credits
from tests.sandbox import SandboxProcess


@pytest.fixture
def buyer(alice: User, at_sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> User:
    """Alice with 1000 credits, the sandbox as provider, and no worker."""
    give_credits(alice, 1000)
    monkeypatch.setattr("videos.worker.inline.PAUSE_S", 0.05)
    monkeypatch.setattr("videos.management.commands.generate.CHECK_INTERVAL_S", 0.1)
    return alice

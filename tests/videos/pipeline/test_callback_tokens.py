"""The token of a callback URL never appears in a log line, whatever the response."""

import logging

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.seams import randomness
from tests.videos.world import World
from veoapp.logs import SecretMaskingFormatter
from videos.pipeline.callback_tokens import mask_tokens

SECRET = "canary-callback-token-0123456789abcdefghijk"


def format_records(records: list[logging.LogRecord]) -> str:
    """The lines that the site's log handler would write."""
    (console,) = [
        handler for handler in logging.getLogger().handlers if isinstance(handler.formatter, SecretMaskingFormatter)
    ]
    return "\n".join(console.format(record) for record in records)


def test_every_handler_that_may_log_an_address_masks_tokens() -> None:
    for name in ("django", "django.request", "django.server", "django.security", "videos"):
        assert not logging.getLogger(name).handlers
        assert logging.getLogger(name).propagate


def test_refused_callbacks_leave_no_token_in_the_log(
    world: World, alice: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(randomness, "token", lambda: SECRET)
    caplog.set_level(logging.DEBUG)
    task = world.order(alice)
    world.send()
    address = reverse("videos:callback", args=[task.pk, SECRET])
    client = Client()
    assert client.post(address, b"{", content_type="application/json").status_code == 400
    assert client.get(address).status_code == 405
    assert client.post(address, b"x" * 70_000, content_type="application/json").status_code == 413
    log_text = format_records(caplog.records)
    assert f"/api/veo/callback/{task.pk}/***/" in log_text
    assert SECRET not in log_text


def test_tokens_in_tracebacks_are_masked_too(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("videos.pipeline.callbacks")
    try:
        raise ValueError(f"https://studio.test/api/veo/callback/0b2f/{SECRET}/")
    except ValueError:
        log.exception("a call failed")
    assert "Traceback" in format_records(caplog.records)
    assert SECRET not in format_records(caplog.records)


def test_text_without_a_callback_address_is_not_changed() -> None:
    assert mask_tokens("GET /api/veo/callback and more") == "GET /api/veo/callback and more"

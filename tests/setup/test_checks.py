"""System checks refuse or warn, and say what to do."""

import base64
from decimal import Decimal
from typing import Any

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

GOOD_KEY = "1:" + base64.b64encode(bytes(32)).decode()


def found(**kwargs: Any) -> dict[str, str]:
    """Our messages by id, with their hints."""
    messages = [message for message in run_checks(**kwargs) if str(message.id).startswith("veoapp.")]
    return {str(message.id): str(message.hint) for message in messages}


@pytest.fixture(autouse=True)
def _good(settings: Settings) -> None:
    settings.APP_URL = settings.CALLBACK_BASE_URL = "https://studio.example.com"
    settings.KIE_AI_BASE_URL = "https://provider.example.com"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"


def test_good_settings_pass() -> None:
    assert found(include_deployment_checks=True) == {}


@pytest.mark.parametrize("keys", [["1:short"], ["no-id"], [GOOD_KEY, "2:%%%"]])
def test_encryption_keys_that_are_none_are_refused(settings: Settings, keys: list[str]) -> None:
    settings.FIELD_ENCRYPTION_KEYS = keys
    assert list(found()) == ["veoapp.E001"]


def test_production_without_encryption_keys_is_refused(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = []
    assert "Make one with: python" in found()["veoapp.E002"]
    settings.DEBUG = True
    assert found() == {}


@pytest.mark.parametrize("key", ["short", "a" * 60])
def test_production_with_a_weak_secret_key_is_refused(settings: Settings, key: str) -> None:
    settings.SECRET_KEY = key
    assert list(found()) == ["veoapp.E003"]


def test_production_without_a_second_factor_for_operators_is_refused(settings: Settings) -> None:
    settings.STAFF_MFA_REQUIRED = False
    assert list(found()) == ["veoapp.E004"]


@pytest.mark.parametrize(
    "url", ["studio.example.com", "ftp://studio.example.com", "https://a.example.com/sub", "http://[::"]
)
def test_an_address_that_is_none_is_refused(settings: Settings, url: str) -> None:
    settings.APP_URL = url
    assert list(found()) == ["veoapp.E005"]


def test_a_limit_of_nothing_is_refused(settings: Settings) -> None:
    settings.MAX_CONCURRENT_VIDEOS = 0
    assert "pause" in found()["veoapp.E006"]


def test_a_breaker_that_could_never_open_is_refused(settings: Settings) -> None:
    settings.BREAKER_FAILURES, settings.BREAKER_OF = 3, 2
    assert list(found()) == ["veoapp.E007"]


def test_thresholds_out_of_order_are_warned_of(settings: Settings) -> None:
    settings.CRITICAL_BALANCE_THRESHOLD = settings.LOW_BALANCE_THRESHOLD + 1
    assert list(found()) == ["veoapp.W001"]


def test_budgets_out_of_order_are_warned_of(settings: Settings) -> None:
    settings.DAILY_COST_LIMIT = settings.HOURLY_COST_LIMIT - Decimal(1)
    assert list(found()) == ["veoapp.W002"]
    settings.DAILY_COST_LIMIT = Decimal(0)
    assert found() == {}, "zero is no limit"


def test_deployment_without_a_provider_key_is_warned_of(settings: Settings) -> None:
    settings.KIE_AI_API_KEY = ""
    assert found() == {}
    assert "in the admin" in found(include_deployment_checks=True)["veoapp.W003"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost", "https://10.0.0.7", "http://studio"])
def test_a_callback_address_that_only_we_can_reach_is_warned_of(settings: Settings, url: str) -> None:
    settings.CALLBACK_BASE_URL = url
    assert "Polling will finish" in found(include_deployment_checks=True)["veoapp.W004"]


def test_printed_mails_are_warned_of_in_deployment(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert "EMAIL_URL" in found(include_deployment_checks=True)["veoapp.W005"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ALERT_FROM_SEVERITY", "loud", "veoapp.E008"),
        ("DAILY_SUMMARY_HOUR", 24, "veoapp.E009"),
        ("ALERT_WEBHOOK_URL", "hooks.example.com", "veoapp.E010"),
        ("ALERT_WEBHOOK_SECRET", "whsec_short", "veoapp.E011"),
    ],
)
def test_settings_that_would_keep_operators_from_hearing_are_refused(
    settings: Settings, name: str, value: object, message: str
) -> None:
    settings.ALERT_WEBHOOK_URL = "https://hooks.example.com/alerts"
    settings.ALERT_WEBHOOK_SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
    assert found() == {}
    setattr(settings, name, value)
    assert list(found()) == [message]

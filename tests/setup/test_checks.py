"""System checks refuse or warn about settings, with a hint."""

import base64
from decimal import Decimal
from typing import Any

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

GOOD_KEY = "1:" + base64.b64encode(bytes(32)).decode()


def run_our_checks(**kwargs: Any) -> dict[str, str]:
    """Run the system checks; returns the hints of ours by id."""
    messages = [message for message in run_checks(**kwargs) if str(message.id).startswith("veoapp.")]
    return {str(message.id): str(message.hint) for message in messages}


@pytest.fixture(autouse=True)
def _valid_settings(settings: Settings) -> None:
    settings.APP_URL = settings.CALLBACK_BASE_URL = "https://studio.example.com"
    settings.KIE_AI_BASE_URL = "https://provider.example.com"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"


def test_valid_settings_pass() -> None:
    assert run_our_checks(include_deployment_checks=True) == {}


@pytest.mark.parametrize("keys", [["1:short"], ["no-id"], [GOOD_KEY, "2:%%%"]])
def test_malformed_encryption_keys_are_refused(settings: Settings, keys: list[str]) -> None:
    settings.FIELD_ENCRYPTION_KEYS = keys
    assert list(run_our_checks()) == ["veoapp.E001"]


def test_production_without_encryption_keys_is_refused(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = []
    assert "Make one with: python" in run_our_checks()["veoapp.E002"]
    settings.DEBUG = True
    assert run_our_checks() == {}


@pytest.mark.parametrize("key", ["short", "a" * 60])
def test_production_with_a_weak_secret_key_is_refused(settings: Settings, key: str) -> None:
    settings.SECRET_KEY = key
    assert list(run_our_checks()) == ["veoapp.E003"]


def test_production_without_a_second_factor_for_operators_is_refused(settings: Settings) -> None:
    settings.STAFF_MFA_REQUIRED = False
    assert list(run_our_checks()) == ["veoapp.E004"]


@pytest.mark.parametrize(
    "url", ["studio.example.com", "ftp://studio.example.com", "https://a.example.com/sub", "http://[::"]
)
def test_a_malformed_address_is_refused(settings: Settings, url: str) -> None:
    settings.APP_URL = url
    assert list(run_our_checks()) == ["veoapp.E005"]


def test_a_limit_of_zero_is_refused(settings: Settings) -> None:
    settings.MAX_CONCURRENT_VIDEOS = 0
    assert "pause" in run_our_checks()["veoapp.E006"]


def test_a_breaker_that_could_never_open_is_refused(settings: Settings) -> None:
    settings.BREAKER_FAILURES, settings.BREAKER_OF = 3, 2
    assert list(run_our_checks()) == ["veoapp.E007"]


def test_thresholds_out_of_order_cause_a_warning(settings: Settings) -> None:
    settings.CRITICAL_BALANCE_THRESHOLD = settings.LOW_BALANCE_THRESHOLD + 1
    assert list(run_our_checks()) == ["veoapp.W001"]


def test_budgets_out_of_order_cause_a_warning(settings: Settings) -> None:
    settings.DAILY_COST_LIMIT = settings.HOURLY_COST_LIMIT - Decimal(1)
    assert list(run_our_checks()) == ["veoapp.W002"]
    settings.DAILY_COST_LIMIT = Decimal(0)
    assert run_our_checks() == {}, "zero means no limit"


def test_deployment_without_a_provider_key_causes_a_warning(settings: Settings) -> None:
    settings.KIE_AI_API_KEY = ""
    assert run_our_checks() == {}
    assert "in the admin" in run_our_checks(include_deployment_checks=True)["veoapp.W003"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost", "https://10.0.0.7", "http://studio"])
def test_a_private_callback_address_causes_a_warning(settings: Settings, url: str) -> None:
    settings.CALLBACK_BASE_URL = url
    assert "Polling will finish" in run_our_checks(include_deployment_checks=True)["veoapp.W004"]


def test_printing_e_mails_causes_a_warning_in_deployment(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert "EMAIL_URL" in run_our_checks(include_deployment_checks=True)["veoapp.W005"]


@pytest.mark.parametrize(
    ("name", "value", "check_id"),
    [
        ("ALERT_FROM_SEVERITY", "loud", "veoapp.E008"),
        ("DAILY_SUMMARY_HOUR", 24, "veoapp.E009"),
        ("ALERT_WEBHOOK_URL", "hooks.example.com", "veoapp.E010"),
        ("ALERT_WEBHOOK_SECRET", "whsec_short", "veoapp.E011"),
    ],
)
def test_settings_that_would_keep_alerts_from_operators_are_refused(
    settings: Settings, name: str, value: object, check_id: str
) -> None:
    settings.ALERT_WEBHOOK_URL = "https://hooks.example.com/alerts"
    settings.ALERT_WEBHOOK_SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
    assert run_our_checks() == {}
    setattr(settings, name, value)
    assert list(run_our_checks()) == [check_id]

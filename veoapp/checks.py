"""System checks, which report settings that would fail later, each with a hint.

Errors stop commands and `make run`. Checks registered with `deploy` run only in `manage.py check --deploy`.
"""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from billing.provider import encryption
from videos.providers import standard_webhooks

NEW_ENCRYPTION_KEY = (
    "python -c \"import base64, secrets; print('1:' + base64.b64encode(secrets.token_bytes(32)).decode())\""
)
NEW_WEBHOOK_KEY = (
    "python -c \"import base64, secrets; print('whsec_' + base64.b64encode(secrets.token_bytes(32)).decode())\""
)
NEW_SIGNING_KEY = 'python -c "import secrets; print(secrets.token_urlsafe(50))"'
POSITIVE_LIMITS = (
    "MAX_CONCURRENT_VIDEOS",
    "MAX_CONCURRENT_PER_USER",
    "MAX_ACTIVE_PER_USER",
    "PROVIDER_RATE_LIMIT",
    "PROVIDER_RATE_WINDOW_S",
    "BREAKER_FAILURES",
    "BREAKER_OF",
    "BREAKER_WINDOW_S",
)
# The values of `billing.models.Alert.Severity`, which cannot be imported yet when checks are registered.
SEVERITIES = ("info", "warning", "critical")

Apps = Sequence[AppConfig] | None


def check_secrets(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Report missing, weak or malformed secrets."""
    messages: list[CheckMessage] = []
    try:
        keys = encryption.load_keys()
    except encryption.EncryptionError as error:
        hint = f"Make one with: {NEW_ENCRYPTION_KEY}"
        return [Error(f"{error}.", hint=hint, id="veoapp.E001")]
    if not keys and not settings.DEBUG:
        hint = f"It encrypts provider keys in the database. Make one with: {NEW_ENCRYPTION_KEY}"
        messages.append(Error("FIELD_ENCRYPTION_KEYS is empty.", hint=hint, id="veoapp.E002"))
    if not settings.DEBUG and (len(settings.SECRET_KEY) < 50 or len(set(settings.SECRET_KEY)) < 5):
        hint = f"It signs sessions and links. Make one with: {NEW_SIGNING_KEY}"
        messages.append(Error("SECRET_KEY is too short.", hint=hint, id="veoapp.E003"))
    if not settings.DEBUG and not settings.STAFF_MFA_REQUIRED:
        hint = "Remove STAFF_MFA_REQUIRED from your settings: outside DEBUG operators need a second factor."
        messages.append(Error("Operators could sign in with a password alone.", hint=hint, id="veoapp.E004"))
    return messages


def check_site_addresses(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Report an invalid base address for links in e-mails or for callbacks."""
    return [
        Error(
            f"{name} is not a valid address: {value}",
            hint="Write the scheme and the host without a path, such as https://studio.example.com.",
            id="veoapp.E005",
        )
        for name, value in (("APP_URL", settings.APP_URL), ("CALLBACK_BASE_URL", settings.CALLBACK_BASE_URL))
        if not _is_site_address(value)
    ]


def check_limits(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Report limits of zero, which would stop the site, and limits that make another one ineffective."""
    messages: list[CheckMessage] = [
        Error(
            f"{name} is {getattr(settings, name)}, so no video could be made.",
            hint="Set it to 1 or more. To stop new videos for a while, pause them in the admin.",
            id="veoapp.E006",
        )
        for name in POSITIVE_LIMITS
        if getattr(settings, name) < 1
    ]
    if settings.CRITICAL_BALANCE_THRESHOLD > settings.LOW_BALANCE_THRESHOLD:
        hint = "Set LOW_BALANCE_THRESHOLD above CRITICAL_BALANCE_THRESHOLD, so that a warning comes before videos stop."
        messages.append(Warning("New videos would stop before the low-balance warning.", hint=hint, id="veoapp.W001"))
    if settings.BREAKER_FAILURES > settings.BREAKER_OF:
        hint = "Set BREAKER_FAILURES to BREAKER_OF or less."
        messages.append(
            Error("Paid calls would continue however often the provider fails.", hint=hint, id="veoapp.E007")
        )
    # A budget of zero means no limit, so it is not compared.
    budgets = [settings.HOURLY_COST_LIMIT, settings.DAILY_COST_LIMIT, settings.MONTHLY_COST_LIMIT]
    limited = [limit for limit in budgets if limit]
    if limited != sorted(limited):
        hint = "Set HOURLY_COST_LIMIT <= DAILY_COST_LIMIT <= MONTHLY_COST_LIMIT."
        messages.append(Warning("A longer budget is smaller than a shorter one.", hint=hint, id="veoapp.W002"))
    return messages


def check_provider(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Warn about a missing provider key and about a callback address that the provider cannot reach."""
    messages: list[CheckMessage] = []
    if not settings.KIE_AI_API_KEY:
        hint = "Set KIE_AI_API_KEY, or ignore this if you added the key in the admin."
        messages.append(Warning("There is no provider key in the environment.", hint=hint, id="veoapp.W003"))
    if _is_private(settings.CALLBACK_BASE_URL) and not _is_private(settings.KIE_AI_BASE_URL):
        hint = "Polling will finish the videos a little later. For callbacks set APP_URL or CALLBACK_BASE_URL."
        messages.append(
            Warning("The provider cannot send callbacks to a private address.", hint=hint, id="veoapp.W004")
        )
    return messages


def check_alert_settings(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Report settings that would keep alerts and summaries from reaching operators."""
    messages: list[CheckMessage] = []
    if settings.ALERT_FROM_SEVERITY not in SEVERITIES:
        hint = f"Set it to one of: {', '.join(SEVERITIES)}."
        messages.append(Error("ALERT_FROM_SEVERITY is not a severity.", hint=hint, id="veoapp.E008"))
    if not 0 <= settings.DAILY_SUMMARY_HOUR <= 23:
        hint = "Set it to an hour of the day, 0 to 23."
        messages.append(Error("DAILY_SUMMARY_HOUR is not an hour of the day.", hint=hint, id="veoapp.E009"))
    if settings.ALERT_WEBHOOK_URL:
        parts = urlsplit(settings.ALERT_WEBHOOK_URL)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            hint = "Write the full address, such as https://hooks.example.com/alerts."
            messages.append(Error("ALERT_WEBHOOK_URL is not a valid address.", hint=hint, id="veoapp.E010"))
        try:
            standard_webhooks.parse_secret(settings.ALERT_WEBHOOK_SECRET)
        except ValueError:
            hint = f"Receivers verify signatures with it. Make one with: {NEW_WEBHOOK_KEY}"
            messages.append(Error("ALERT_WEBHOOK_SECRET is not a valid signing key.", hint=hint, id="veoapp.E011"))
    return messages


def check_mail_backend(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Warn if mail is only printed, because signing up requires a confirmation code sent by mail."""
    if not settings.EMAIL_BACKEND.endswith("console.EmailBackend"):
        return []
    hint = "Set EMAIL_URL, such as smtp+tls://USER:PASSWORD@HOST:587."
    return [
        Warning("E-mails are printed instead of sent, so nobody could confirm an address.", hint=hint, id="veoapp.W005")
    ]


def _is_site_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not (parts.path or parts.query)


def _is_private(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host

"""System checks: what would go wrong later is said at the start, with what to do about it.

Errors stop every command and `make run`; warnings of `deploy` are for `manage.py check --deploy`.
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
AT_LEAST_ONE = (
    "MAX_CONCURRENT_VIDEOS",
    "MAX_CONCURRENT_PER_USER",
    "MAX_ACTIVE_PER_USER",
    "PROVIDER_RATE_LIMIT",
    "PROVIDER_RATE_WINDOW_S",
    "BREAKER_FAILURES",
    "BREAKER_OF",
    "BREAKER_WINDOW_S",
)
# The names of `billing.models.Alert.Severity`, which is not loaded yet when checks are.
SEVERITIES = ("info", "warning", "critical")

Apps = Sequence[AppConfig] | None


def secrets_are_set(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Without these a production site would run, and be open."""
    found: list[CheckMessage] = []
    try:
        keys = encryption.load_keys()
    except encryption.EncryptionError as error:
        hint = f"Make one with: {NEW_ENCRYPTION_KEY}"
        return [Error(f"{error}.", hint=hint, id="veoapp.E001")]
    if not keys and not settings.DEBUG:
        hint = f"Provider keys are sealed with it in the database. Make one with: {NEW_ENCRYPTION_KEY}"
        found.append(Error("FIELD_ENCRYPTION_KEYS is empty.", hint=hint, id="veoapp.E002"))
    if not settings.DEBUG and (len(settings.SECRET_KEY) < 50 or len(set(settings.SECRET_KEY)) < 5):
        hint = f"It signs sessions and links. Make one with: {NEW_SIGNING_KEY}"
        found.append(Error("SECRET_KEY is too short.", hint=hint, id="veoapp.E003"))
    if not settings.DEBUG and not settings.STAFF_MFA_REQUIRED:
        hint = "Remove STAFF_MFA_REQUIRED from your settings: outside DEBUG operators need a second factor."
        found.append(Error("Operators could sign in with a password alone.", hint=hint, id="veoapp.E004"))
    return found


def addresses_are_usable(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Links in mails and callback addresses are built on these."""
    return [
        Error(
            f"{name} is not an address: {value}",
            hint="Write the scheme and the host and nothing behind them, such as https://studio.example.com.",
            id="veoapp.E005",
        )
        for name, value in (("APP_URL", settings.APP_URL), ("CALLBACK_BASE_URL", settings.CALLBACK_BASE_URL))
        if not _is_site_address(value)
    ]


def limits_make_sense(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """A limit of nothing stops the site for ever; limits out of order hide each other."""
    found: list[CheckMessage] = [
        Error(
            f"{name} is {getattr(settings, name)}, so no video would ever be made.",
            hint="Set it to 1 or more. To stop new videos for a while, pause them in the admin.",
            id="veoapp.E006",
        )
        for name in AT_LEAST_ONE
        if getattr(settings, name) < 1
    ]
    if settings.CRITICAL_BALANCE_THRESHOLD > settings.LOW_BALANCE_THRESHOLD:
        hint = "Set LOW_BALANCE_THRESHOLD above CRITICAL_BALANCE_THRESHOLD, so that a warning comes before the stop."
        found.append(Warning("New videos would stop before anybody is warned.", hint=hint, id="veoapp.W001"))
    if settings.BREAKER_FAILURES > settings.BREAKER_OF:
        hint = "Set BREAKER_FAILURES to BREAKER_OF or less."
        found.append(Error("However often the provider fails, paid calls would go on.", hint=hint, id="veoapp.E007"))
    # Zero is no limit, and hides nothing.
    budgets = [settings.HOURLY_COST_LIMIT, settings.DAILY_COST_LIMIT, settings.MONTHLY_COST_LIMIT]
    limited = [limit for limit in budgets if limit]
    if limited != sorted(limited):
        hint = "Set HOURLY_COST_LIMIT <= DAILY_COST_LIMIT <= MONTHLY_COST_LIMIT."
        found.append(Warning("A longer budget is smaller than a shorter one.", hint=hint, id="veoapp.W002"))
    return found


def provider_is_reachable(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """The provider's key, and the way back to us."""
    found: list[CheckMessage] = []
    if not settings.KIE_AI_API_KEY:
        hint = "Set KIE_AI_API_KEY, or ignore this if you added the key in the admin."
        found.append(Warning("There is no provider key in the environment.", hint=hint, id="veoapp.W003"))
    if _is_private(settings.CALLBACK_BASE_URL) and not _is_private(settings.KIE_AI_BASE_URL):
        hint = "Polling will finish the videos, a little later. For callbacks set APP_URL or CALLBACK_BASE_URL."
        found.append(Warning("The provider cannot call us back at a private address.", hint=hint, id="veoapp.W004"))
    return found


def alerts_can_be_told(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """What would keep operators from hearing of trouble."""
    found: list[CheckMessage] = []
    if settings.ALERT_FROM_SEVERITY not in SEVERITIES:
        hint = f"Set it to one of: {', '.join(SEVERITIES)}."
        found.append(Error("ALERT_FROM_SEVERITY is no severity.", hint=hint, id="veoapp.E008"))
    if not 0 <= settings.DAILY_SUMMARY_HOUR <= 23:
        hint = "Set it to an hour of the day, 0 to 23."
        found.append(Error("DAILY_SUMMARY_HOUR would never come.", hint=hint, id="veoapp.E009"))
    if settings.ALERT_WEBHOOK_URL:
        parts = urlsplit(settings.ALERT_WEBHOOK_URL)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            hint = "Write the whole address, such as https://hooks.example.com/alerts."
            found.append(Error("ALERT_WEBHOOK_URL is not an address.", hint=hint, id="veoapp.E010"))
        try:
            standard_webhooks.key_of(settings.ALERT_WEBHOOK_SECRET)
        except ValueError:
            hint = f"Receivers check it. Make one with: {NEW_WEBHOOK_KEY}"
            found.append(Error("ALERT_WEBHOOK_SECRET cannot sign.", hint=hint, id="veoapp.E011"))
    return found


def mail_is_sent(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Nobody can sign up without a mail."""
    if not settings.EMAIL_BACKEND.endswith("console.EmailBackend"):
        return []
    hint = "Set EMAIL_URL, such as smtp+tls://USER:PASSWORD@HOST:587."
    return [Warning("Mails are printed and not sent: nobody could confirm an address.", hint=hint, id="veoapp.W005")]


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

"""Outgoing e-mail, and where alerts for operators are sent."""

from urllib.parse import urlsplit

from veoapp.settings.base import APP_URL, env

vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
if vars()["EMAIL_BACKEND"] == "django.core.mail.backends.console.EmailBackend":
    EMAIL_BACKEND = "accounts.mail.console_backend.EmailBackend"
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default=f"veoapp <no-reply@{urlsplit(APP_URL).hostname}>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
EMAIL_TIMEOUT = 20
COST_ALERT_EMAIL = env.list("COST_ALERT_EMAIL", default=[])
ALERT_FROM_SEVERITY = env.str("ALERT_FROM_SEVERITY", default="warning").strip().lower()
ALERT_WEBHOOK_URL = env.str("ALERT_WEBHOOK_URL", default="")
ALERT_WEBHOOK_SECRET = env.str("ALERT_WEBHOOK_SECRET", default="")  # whsec_..., as specified by standardwebhooks.com
DAILY_SUMMARY_HOUR = env.int("DAILY_SUMMARY_HOUR", default=8)  # in TIME_ZONE

"""Every setting of veoapp, from the environment or `.env`. `.env.example` documents each name; a test proves it."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext
from botocore.config import Config
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from veoapp.environment import Environment, SettingsError, env_file, ports_file

# Annotations may name what they hold, as in ModelAdmin[User], although Django's classes know no subscript.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = Environment()
env.read_file(env_file(default=BASE_DIR / ".env"))  # the environment wins over the file

# --- Who we are -------------------------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    raise SettingsError(
        "SECRET_KEY is empty. Run `make setup`, which writes a .env for this machine, or set SECRET_KEY yourself."
    )
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
# Seals provider keys at rest; not the SECRET_KEY, so that either can be changed alone. "KEYID:BASE64,..." newest first.
FIELD_ENCRYPTION_KEYS = env.list("FIELD_ENCRYPTION_KEYS", default=[])
# Where `make run` listens; a web server of your own may listen anywhere. In development the last ones hold until others
# are named, so that commands speak to the same sandbox and mails link to the same site.
PORTS_FILE = ports_file(VAR_DIR) if DEBUG else None
env.read_file(PORTS_FILE)
PORT = env.int("PORT", default=8000)
SANDBOX_PORT = env.int("SANDBOX_PORT", default=8787)
APP_URL = env.str("APP_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")
HTTPS = urlsplit(APP_URL).scheme == "https"
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[]) or [urlsplit(APP_URL).hostname or "127.0.0.1"]
if DEBUG:
    ALLOWED_HOSTS += ["127.0.0.1", "localhost", "[::1]"]
CSRF_TRUSTED_ORIGINS = [APP_URL]
# How many proxies stand before us and may be believed about the client's address.
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)

INSTALLED_APPS = [
    "veoapp.apps.VeoappConfig",
    "veoapp.apps.VeoappAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "django_q",
    "accounts",
    "billing",
    "videos",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.PreferencesMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.SessionActivityMiddleware",
    "veoapp.middleware.PrivateByDefaultMiddleware",
]

ROOT_URLCONF = "veoapp.urls"
WSGI_APPLICATION = "veoapp.wsgi.application"
ASGI_APPLICATION = "veoapp.asgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "veoapp.context_processors.site",
            ],
        },
    },
]

# --- Database, cache, queue -------------------------------------------------------------------------------------------

DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url("DATABASE_URL", default="")
    or {"ENGINE": "django.db.backends.sqlite3", "NAME": VAR_DIR / "veoapp.sqlite3"}
}
_database = DATABASES["default"]
if _database["ENGINE"] == "django.db.backends.sqlite3":
    VAR_DIR.mkdir(exist_ok=True)
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
else:
    # Django's own pool breaks qcluster (sockets shared after fork), so connections are kept per process instead.
    _database["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
    _database["CONN_HEALTH_CHECKS"] = True
    _database.setdefault("OPTIONS", {})["options"] = (
        "-c lock_timeout=5000 -c idle_in_transaction_session_timeout=60000"
        # Our statements take milliseconds: to start helpers or to compile first would take longer than they do.
        " -c max_parallel_workers_per_gather=0 -c jit=off"
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="")
CACHES: dict[str, dict[str, Any]] = {
    # Rate limits live in the cache, so all processes must share one: Redis, or a table.
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache_entries"}
}

# Jobs only say "look now": each may run twice, late or never. The rows know what is due (videos.worker.sweep).
Q_CLUSTER: dict[str, Any] = {
    "name": "veoapp",
    "orm": "default",
    "workers": env.int("WORKERS", default=3),
    "queue_limit": 1,
    "poll": 0.5,
    "timeout": 300,
    "retry": 1200,  # far above timeout: the lock's clock starts when a job is dequeued
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "catch_up": False,
    "recycle": 500,
    "max_rss": 700_000,
    "label": _("Jobs"),
    "has_replica": False,
}

# --- People -----------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
# Only allauth's: a second one would hash every wrong password twice.
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "videos:studio"
ACCOUNT_LOGOUT_REDIRECT_URL = "videos:studio"
ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
# Codes, not links: they work when the mail is read on another device, and no secret stands in an address.
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED = True
ACCOUNT_PASSWORD_RESET_BY_CODE_TIMEOUT = 15 * 60
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXY_COUNT
USERSESSIONS_TRACK_ACTIVITY = True
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "veoapp"
# Clocks of phones and people are slow: the code before and the one after count as well, each once.
MFA_TOTP_TOLERANCE = 1
# Browsers allow passkeys on https and on localhost only.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = DEBUG
SIGNUP_CREDITS = env.int("SIGNUP_CREDITS", default=100)
SIGNUP_CREDITS_DAYS = env.int("SIGNUP_CREDITS_DAYS", default=0)  # 0: they do not expire
# What is refunded after its credits have expired can be used for so long.
GRACE_DAYS = env.int("GRACE_DAYS", default=7)
STAFF_MFA_REQUIRED = not DEBUG

# --- Language, time, mail ---------------------------------------------------------------------------------------------

LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="en")
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "veoapp" / "locale"]
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_I18N = True
USE_TZ = True
USE_THOUSAND_SEPARATOR = True
FORMAT_MODULE_PATH = "veoapp.formats"

vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
if vars()["EMAIL_BACKEND"] == "django.core.mail.backends.console.EmailBackend":
    EMAIL_BACKEND = "accounts.mail.console_backend.EmailBackend"
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default=f"veoapp <no-reply@{urlsplit(APP_URL).hostname}>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
EMAIL_TIMEOUT = 20
COST_ALERT_EMAIL = env.list("COST_ALERT_EMAIL", default=[])
ALERT_FROM_SEVERITY = env.str("ALERT_FROM_SEVERITY", default="warning").strip().lower()
ALERT_WEBHOOK_URL = env.str("ALERT_WEBHOOK_URL", default="")
ALERT_WEBHOOK_SECRET = env.str("ALERT_WEBHOOK_SECRET", default="")  # whsec_..., as standardwebhooks.com says
DAILY_SUMMARY_HOUR = env.int("DAILY_SUMMARY_HOUR", default=8)  # of the site's clock

# --- The provider -----------------------------------------------------------------------------------------------------

KIE_AI_API_KEY = env.str("KIE_AI_API_KEY", default="") or env.str("KIE_API_KEY", default="")
KIE_AI_BASE_URL = env.str("KIE_AI_BASE_URL", default="https://api.kie.ai").rstrip("/")
# Without a key and with DEBUG on, a sandbox stands in for the provider: ours, or the one whose address was given.
# A key in the admin comes before it.
SANDBOX_ALLOWED = DEBUG and not KIE_AI_API_KEY
SANDBOX_URL = env.str("SANDBOX_URL", default="").rstrip("/") or (
    f"http://127.0.0.1:{SANDBOX_PORT}" if KIE_AI_BASE_URL == "https://api.kie.ai" else KIE_AI_BASE_URL
)
# kie.ai takes uploads at a host of its own. Another provider's address gets them itself: our key and people's images
# go nowhere that was not named.
KIE_AI_UPLOAD_BASE_URL = env.str("KIE_AI_UPLOAD_BASE_URL", default="").rstrip("/") or (
    "https://kieai.redpandaai.co" if KIE_AI_BASE_URL == "https://api.kie.ai" else KIE_AI_BASE_URL
)
KIE_AI_WEBHOOK_HMAC_KEY = env.str("KIE_AI_WEBHOOK_HMAC_KEY", default="")
# Where the provider calls back; another address than APP_URL only when it sees us under another name.
CALLBACK_BASE_URL = env.str("CALLBACK_BASE_URL", default=APP_URL).rstrip("/")
RESULT_HOSTS_ALLOWED = env.list("RESULT_HOSTS_ALLOWED", default=[])
if SANDBOX_ALLOWED:
    RESULT_HOSTS_ALLOWED = [*RESULT_HOSTS_ALLOWED, "127.0.0.1", "localhost"]
USD_PER_PROVIDER_CREDIT = env.decimal("USD_PER_PROVIDER_CREDIT", default="0.005")
# What a user credit is worth to us; margins are counted with it.
USD_PER_USER_CREDIT = env.decimal("USD_PER_USER_CREDIT", default="0.005")
# Provider credits that may be gone without a video that explains them, before somebody is told.
UNEXPLAINED_TOLERANCE = env.decimal("UNEXPLAINED_TOLERANCE", default="5")
# The first look at a video comes at its usual time, but not later than this; callbacks come sooner.
FIRST_POLL_AT_MOST_S = env.float("FIRST_POLL_AT_MOST_S", default=60.0)
# Network calls at once inside one job; 0 runs them one after another.
JOB_THREADS = env.int("JOB_THREADS", default=8)
# A POST ends within 60 s; whoever has not answered after twice that is dead, and the outcome unknown.
SUBMIT_LEASE_S = env.float("SUBMIT_LEASE_S", default=120.0)
# Our own clock refunds a video only after so long without any verdict.
HARD_DEADLINE_HOURS = env.float("HARD_DEADLINE_HOURS", default=6.0)
CHARGED_WHEN_FAILED = env.bool("CHARGED_WHEN_FAILED", default=False)

# --- Limits; each is a default that the admin may override where a row exists -----------------------------------------

# Provider credits in a calendar hour, day and month of TIME_ZONE; 0 is no limit.
HOURLY_COST_LIMIT = env.decimal("HOURLY_COST_LIMIT", default="1000")
DAILY_COST_LIMIT = env.decimal("DAILY_COST_LIMIT", default="10000")
MONTHLY_COST_LIMIT = env.decimal("MONTHLY_COST_LIMIT", default="200000")
USER_DAILY_COST_LIMIT = env.decimal("USER_DAILY_COST_LIMIT", default="0")
# Past its warning share a budget of everybody's is given out evenly over the rest of its window, before it stops work.
BUDGET_PACING = env.bool("BUDGET_PACING", default=True)
LOW_BALANCE_THRESHOLD = env.decimal("LOW_BALANCE_THRESHOLD", default="1000")
CRITICAL_BALANCE_THRESHOLD = env.decimal("CRITICAL_BALANCE_THRESHOLD", default="500")
MAX_CONCURRENT_VIDEOS = env.int("MAX_CONCURRENT_VIDEOS", default=10)
MAX_CONCURRENT_PER_USER = env.int("MAX_CONCURRENT_PER_USER", default=3)
MAX_ACTIVE_PER_USER = env.int("MAX_ACTIVE_PER_USER", default=200)
MAX_QUEUE_WAIT_MINUTES = env.int("MAX_QUEUE_WAIT_MINUTES", default=60)
PROVIDER_RATE_LIMIT = env.int("PROVIDER_RATE_LIMIT", default=20)
PROVIDER_RATE_WINDOW_S = env.int("PROVIDER_RATE_WINDOW_S", default=10)
# So many failures among the provider's last answers to orders, within the window, stop new ones until it is well again.
BREAKER_FAILURES = env.int("BREAKER_FAILURES", default=5)
BREAKER_OF = env.int("BREAKER_OF", default=10)
BREAKER_WINDOW_S = env.int("BREAKER_WINDOW_S", default=300)
# The watch over spending: stops new videos on an hour far above the usual, on failures, or holds one user's burst.
UNUSUAL_WATCH = env.bool("UNUSUAL_WATCH", default=True)
UNUSUAL_SPEND_FACTOR = env.decimal("UNUSUAL_SPEND_FACTOR", default="4")
UNUSUAL_SPEND_FLOOR = env.decimal("UNUSUAL_SPEND_FLOOR", default="500")
UNUSUAL_FAILURE_SHARE = env.decimal("UNUSUAL_FAILURE_SHARE", default="0.6")
UNUSUAL_USER_BURST = env.int("UNUSUAL_USER_BURST", default=30)
UNUSUAL_PAUSE_MINUTES = env.int("UNUSUAL_PAUSE_MINUTES", default=60)  # 0: until a person resumes
VIDEO_RETENTION_DAYS = env.int("VIDEO_RETENTION_DAYS", default=0)  # 0: kept until the owner deletes it

# --- Files ------------------------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "veoapp" / "static"]
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", default=str(VAR_DIR / "media")))
# Results arrive here before they are checked and moved into storage; on the same disk as MEDIA_ROOT a move is a rename.
INCOMING_ROOT = Path(env.str("INCOMING_ROOT", default=str(MEDIA_ROOT / ".incoming")))
DISK_RESERVE_MB = env.int("DISK_RESERVE_MB", default=1024)
X_ACCEL_PREFIX = env.str("X_ACCEL_PREFIX", default="")  # e.g. /protected/ : nginx serves the bytes
AWS_STORAGE_BUCKET_NAME = env.str("AWS_STORAGE_BUCKET_NAME", default="")
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
MEDIA_ORIGINS: list[str] = []  # where browsers are sent for stored files, beside ourselves
if AWS_STORAGE_BUCKET_NAME:
    _region = env.str("AWS_S3_REGION_NAME", default="")
    _endpoint = env.str("AWS_S3_ENDPOINT_URL", default="").rstrip("/")
    # At Amazon a signed link must name the region's own host: the common one redirects, and the signature breaks.
    _amazon = f"s3.{_region}.amazonaws.com" if _region else "s3.amazonaws.com"
    MEDIA_ORIGINS = [
        "{0.scheme}://{0.netloc}".format(urlsplit(_endpoint))
        if _endpoint
        else f"https://{AWS_STORAGE_BUCKET_NAME}.{_amazon}"
    ]
    STORAGES["default"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": AWS_STORAGE_BUCKET_NAME,
            "access_key": env.str("AWS_ACCESS_KEY_ID", default="") or None,
            "secret_key": env.str("AWS_SECRET_ACCESS_KEY", default="") or None,
            "region_name": _region or None,
            "endpoint_url": _endpoint or f"https://{_amazon}",
            "default_acl": None,
            "querystring_auth": True,
            "querystring_expire": 600,
            "file_overwrite": False,
            # boto3 would wait a minute, five times over, and a worker with it.
            "client_config": Config(
                signature_version="s3v4",
                s3={"addressing_style": "path" if _endpoint else "virtual"},
                connect_timeout=5,
                read_timeout=30,
                retries={"mode": "standard", "total_max_attempts": 3},
            ),
        },
    }
WHITENOISE_USE_FINDERS = DEBUG
FILE_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

# --- Security ---------------------------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", *MEDIA_ORIGINS],
        "media-src": [SELF, *MEDIA_ORIGINS],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
if HTTPS:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_HSTS_SECONDS = 63_072_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
    if TRUSTED_PROXY_COUNT:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "veoapp.logs.Lines", "fmt": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        # Without the handlers that Django brings: they would write the lines a second time, secrets and all.
        "django": {"level": "INFO", "handlers": []},
        "django.server": {"level": "INFO", "handlers": [], "propagate": True},
        # Request lines carry the callback's secret token; they are not ours to write.
        "urllib3": {"level": "WARNING"},
        "django-q": {"level": "WARNING"},
    },
}

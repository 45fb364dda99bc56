"""The site itself: paths, the environment, its address, and its Django applications, middleware and templates."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext

from veoapp.environment import Environment, env_file, ports_file

# Lets annotations subscript Django's classes at run time, as in ModelAdmin[User].
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent.parent
VAR_DIR = BASE_DIR / "var"

env = Environment()
env.read_file(env_file(default=BASE_DIR / ".env"))  # the environment takes precedence over the file

DEBUG = env.bool("DEBUG", default=False)
# Where `make run` listens; another web server may listen anywhere. In development the ports of the last run are the
# defaults, so that commands use the same sandbox and e-mails link to the same site.
PORTS_FILE = ports_file(VAR_DIR) if DEBUG else None
env.read_file(PORTS_FILE)
PORT = env.int("PORT", default=8000)
APP_URL = env.str("APP_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")
HTTPS = urlsplit(APP_URL).scheme == "https"

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

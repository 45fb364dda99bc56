"""Headers of pages about users: the content security policy, no caching, cookies for this host only."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from accounts.models import User
from tests.accounts import steps

pytestmark = pytest.mark.django_db

PUBLIC = [
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/password/reset/",
    "/accounts/inactive/",
    "/settings/closed/",
]
PRIVATE = [
    "/settings/",
    "/settings/delete/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/sessions/",
    "/accounts/2fa/",
    "/accounts/2fa/totp/activate/",
    "/accounts/2fa/webauthn/add/",
    "/accounts/2fa/webauthn/",
    "/accounts/reauthenticate/",
    "/accounts/logout/",
]


@pytest.mark.parametrize("path", PUBLIC)
def test_public_pages_have_the_policy_and_our_layout(client: Client, path: str) -> None:
    check_page(client, path)


@pytest.mark.parametrize("path", PRIVATE)
def test_private_pages_have_the_policy_and_our_layout_and_are_not_cached(
    client: Client, alice: User, path: str
) -> None:
    steps.sign_in(client, alice.email)
    cache_control = check_page(client, path)
    assert "no-store" in cache_control
    assert "private" in cache_control


def check_page(client: Client, path: str) -> str:
    """Check one page; returns its Cache-Control."""
    page = client.get(path)
    if page.status_code == 302:
        page = steps.reauthenticate(client, path)
    assert page.status_code == 200, page
    policy = page["Content-Security-Policy"]
    for rule in (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ):
        assert rule in policy
    assert "unsafe" not in policy
    assert page["X-Content-Type-Options"] == "nosniff"
    assert page["Referrer-Policy"] == "same-origin"
    assert page["Cross-Origin-Opener-Policy"] == "same-origin"
    assert page["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "css/tokens.css" in page.text
    assert " style=" not in page.text
    assert "<style" not in page.text
    assert " onclick=" not in page.text
    return page.headers.get("Cache-Control", "")


def test_cookies_are_limited_to_the_host_on_https() -> None:
    """The settings are loaded in another process, because a process reads them once."""
    script = """
import json, django
django.setup()
from django.conf import settings
from django.test import Client
page = Client().get("/accounts/login/", secure=True, headers={"Host": "veo.example"})
cookies = {name: dict(cookie) for name, cookie in page.cookies.items()}
print(json.dumps({
    "status": page.status_code, "cookies": cookies, "hsts": page.headers.get("Strict-Transport-Security", ""),
    "session": [settings.SESSION_COOKIE_NAME, settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY,
                settings.SESSION_COOKIE_SAMESITE, settings.SESSION_COOKIE_DOMAIN, settings.SESSION_COOKIE_PATH],
}))
"""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "veoapp.settings",
        "APP_URL": "https://veo.example",
        "ALLOWED_HOSTS": "veo.example",
        "DEBUG": "true",  # static files without a manifest; everything else is as on https
    }
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    output = json.loads(result.stdout.splitlines()[-1])
    assert output["status"] == 200
    cookie = output["cookies"]["__Host-csrftoken"]
    assert cookie["secure"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert (cookie["domain"], cookie["path"]) == ("", "/")
    assert output["session"] == ["__Host-sessionid", True, True, "Lax", None, "/"]
    assert "max-age=63072000" in output["hsts"]
    assert "includeSubDomains" in output["hsts"]

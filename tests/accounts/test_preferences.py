"""A user's preferences: name, language, time zone, theme, e-mails."""

from datetime import UTC, datetime

import pytest
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.utils import translation
from django.utils.timezone import get_current_timezone_name

from accounts.forms import PreferencesForm
from accounts.middleware import PreferencesMiddleware
from accounts.models import User
from accounts.time_zones import get_zone, list_zones_by_region

pytestmark = pytest.mark.django_db

FORM = {
    "display_name": "Ada L",
    "language": "",
    "time_zone": "Asia/Shanghai",
    "theme": "dark",
    "notify_ready": "on",
}


def test_preferences_are_saved_and_shown(client: Client, alice: User) -> None:
    client.force_login(alice)
    response = client.post("/settings/", FORM, follow=True)
    assert "Saved." in response.text
    assert 'data-theme="dark"' in response.text
    alice.refresh_from_db()
    assert (alice.display_name, alice.time_zone, alice.theme) == ("Ada L", "Asia/Shanghai", "dark")
    assert (alice.notify_ready, alice.notify_failed) == (True, False)


def test_only_fields_of_the_form_can_be_changed(client: Client, alice: User) -> None:
    """OWASP ASVS 15.3.3: fields that are not on the page are ignored."""
    client.force_login(alice)
    client.post("/settings/", {**FORM, "is_staff": "on", "is_superuser": "on", "email": "boss@example.com"})
    alice.refresh_from_db()
    assert (alice.is_staff, alice.is_superuser, alice.email) == (False, False, "alice@example.com")


def test_a_new_language_is_used_from_the_next_page_on(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get("/settings/")["Content-Language"] == "en"
    response = client.post("/settings/", {**FORM, "language": "zh-hans"}, follow=True)
    assert response["Content-Language"] == "zh-hans"
    assert '<html lang="zh-hans"' in response.text


def test_an_unknown_language_time_zone_or_theme_is_refused(client: Client, alice: User) -> None:
    client.force_login(alice)
    response = client.post("/settings/", {**FORM, "language": "tlh", "time_zone": "Moon/Base", "theme": "pink"})
    assert set(response.context["form"].errors) == {"language", "time_zone", "theme"}
    alice.refresh_from_db()
    assert alice.display_name == "Alice"


def test_the_language_switch_works_without_an_account_and_returns_to_the_page(client: Client) -> None:
    response = client.post("/i18n/setlang/", {"language": "zh-hans", "next": "/accounts/login/"})
    assert response["Location"] == "/accounts/login/"
    assert client.get("/accounts/login/")["Content-Language"] == "zh-hans"
    client.post("/i18n/setlang/", {"language": "en", "next": "/accounts/login/"})
    assert client.get("/accounts/login/", headers={"Accept-Language": "zh-CN"})["Content-Language"] == "en"


def test_the_language_switch_does_not_redirect_to_another_site(client: Client) -> None:
    response = client.post("/i18n/setlang/", {"language": "zh-hans", "next": "https://evil.example/"})
    assert response["Location"] == "/"


def test_the_language_switch_saves_the_preference_of_a_signed_in_user(client: Client, alice: User) -> None:
    client.force_login(alice)
    client.post("/i18n/setlang/", {"language": "zh-hans", "next": "/settings/"})
    assert client.get("/settings/")["Content-Language"] == "zh-hans"
    alice.refresh_from_db()
    assert alice.language == "zh-hans"
    client.post("/i18n/setlang/", {"language": "tlh"})
    alice.refresh_from_db()
    assert alice.language == "zh-hans"


def test_choosing_the_browser_s_language_overrides_an_earlier_switch(client: Client, alice: User) -> None:
    client.post("/i18n/setlang/", {"language": "zh-hans"})
    client.force_login(alice)
    client.post("/settings/", FORM)
    assert client.get("/settings/", headers={"Accept-Language": "en"})["Content-Language"] == "en"


@pytest.mark.parametrize(
    ("requested", "language"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "zh-hans"), ("de-DE,de", "en"), ("en-GB", "en"), ("", "en"), ("*;;q=x", "en")],
)
def test_the_browser_s_language_is_used_without_an_account(client: Client, requested: str, language: str) -> None:
    response = client.get("/accounts/login/", headers={"Accept-Language": requested})
    assert response["Content-Language"] == language
    assert "Accept-Language" in response["Vary"]


def test_a_language_that_is_no_longer_offered_is_ignored(client: Client, alice: User) -> None:
    alice.language = "tlh"
    alice.save()
    client.force_login(alice)
    assert client.get("/settings/")["Content-Language"] == "en"


def test_times_are_shown_in_the_user_s_time_zone(alice: User, rf: RequestFactory) -> None:
    noon = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    results = []

    def view(request: object) -> object:
        results.append((get_current_timezone_name(), Template("{{ t|date:'H:i' }}").render(Context({"t": noon}))))
        return Client().get("/healthz")

    for zone in ("Asia/Shanghai", "", "Moon/Base"):
        alice.time_zone = zone
        request = rf.get("/")
        request.user = alice
        PreferencesMiddleware(view)(request)  # type: ignore[arg-type]
    assert results == [("Asia/Shanghai", "20:00"), ("UTC", "12:00"), ("UTC", "12:00")]


def test_the_language_does_not_leak_into_the_next_request(client: Client, alice: User) -> None:
    alice.language = "zh-hans"
    alice.save()
    client.force_login(alice)
    client.get("/settings/")
    assert translation.get_language() == "en"


def test_the_list_of_zones_has_every_region_and_only_existing_zones() -> None:
    zones = dict(list_zones_by_region())
    assert ("Asia/Shanghai", "Shanghai") in zones["Asia"]
    assert ("America/Argentina/Buenos_Aires", "Argentina · Buenos Aires") in zones["America"]
    assert sum(len(group) for group in zones.values()) > 350
    assert all(get_zone(name).key == name for group in zones.values() for name, _city in group)


def test_a_zone_that_is_not_in_the_list_is_kept_on_saving(alice: User) -> None:
    alice.time_zone = "Etc/GMT-3"
    form = PreferencesForm({**FORM, "time_zone": "Etc/GMT-3"}, instance=alice)
    assert form.is_valid(), form.errors
    assert form.save().time_zone == "Etc/GMT-3"


def test_private_pages_redirect_to_sign_in(client: Client) -> None:
    for path in ("/settings/", "/settings/delete/", "/accounts/sessions/", "/accounts/email/", "/accounts/2fa/"):
        response = client.get(path)
        assert (response.status_code, response["Location"]) == (302, f"/accounts/login/?next={path}")

"""Middleware for the user's language and time zone on every page, and for the list of the user's sessions."""

from collections.abc import Callable
from datetime import timedelta

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers

from accounts.seams import clock
from accounts.time_zones import get_zone

LAST_SEEN_PRECISION = timedelta(minutes=1)


class PreferencesMiddleware:
    """Activates the user's language and time zone. Without a chosen language, the cookie's or browser's is used."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        preferred = user.language if user.is_authenticated else ""
        # A language that is no longer offered is ignored.
        language = (
            preferred if preferred in dict(settings.LANGUAGES) else translation.get_language_from_request(request)
        )
        zone = user.time_zone if user.is_authenticated else ""
        request.LANGUAGE_CODE = language
        with translation.override(language), timezone.override(get_zone(zone)):
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, ("Accept-Language",))
        return response


class SessionActivityMiddleware:
    """Updates `last_seen_at` of a session, at most once a minute, because some pages send requests all the time."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and request.session.session_key and self._is_due(request):
            UserSession.objects.create_from_request(request)
        return self.get_response(request)

    def _is_due(self, request: HttpRequest) -> bool:
        last_seen_at = (
            UserSession.objects.filter(session_key=request.session.session_key, user_id=request.user.pk)
            .values_list("last_seen_at", flat=True)
            .first()
        )
        return last_seen_at is None or clock.now() - last_seen_at >= LAST_SEEN_PRECISION

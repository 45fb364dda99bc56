"""The user's language and time zone on every page, and the list of their sessions."""

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
    """Activates the user's language, else the cookie's or the browser's, and the user's time zone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        chosen = user.language if user.is_authenticated else ""
        # A language that is no longer offered is ignored.
        language = chosen if chosen in dict(settings.LANGUAGES) else translation.get_language_from_request(request)
        zone = user.time_zone if user.is_authenticated else ""
        request.LANGUAGE_CODE = language
        with translation.override(language), timezone.override(get_zone(zone)):
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, ("Accept-Language",))
        return response


class SessionActivityMiddleware:
    """Updates when a session was last seen, at most once a minute, so that polling pages write nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and request.session.session_key and self._is_due(request):
            UserSession.objects.create_from_request(request)
        return self.get_response(request)

    def _is_due(self, request: HttpRequest) -> bool:
        seen = (
            UserSession.objects.filter(session_key=request.session.session_key, user_id=request.user.pk)
            .values_list("last_seen_at", flat=True)
            .first()
        )
        return seen is None or clock.now() - seen >= LAST_SEEN_PRECISION

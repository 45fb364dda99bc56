"""A person's language and time zone on every page, and the list of where they are signed in."""

from collections.abc import Callable
from datetime import timedelta

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers

from accounts.seams import clock
from accounts.time_zones import zone_named

SEEN_EVERY = timedelta(minutes=1)


class PreferencesMiddleware:
    """Speaks the language the person chose, else the cookie's or the browser's, and shows times where they live."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        chosen = user.language if user.is_authenticated else ""
        # A language that is no longer offered counts as not chosen.
        language = chosen if chosen in dict(settings.LANGUAGES) else translation.get_language_from_request(request)
        zone = user.time_zone if user.is_authenticated else ""
        request.LANGUAGE_CODE = language
        with translation.override(language), timezone.override(zone_named(zone)):
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, ("Accept-Language",))
        return response


class SessionActivityMiddleware:
    """Keeps the list of a person's sessions fresh, writing at most once a minute so that pages that poll only read."""

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
        return seen is None or clock.now() - seen >= SEEN_EVERY

"""Access to pages: signed-in users only, and each user only their own videos."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils.http import urlencode
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from accounts.models import User
from videos.models import VideoTask


class PageRequest(HttpRequest):
    """A request with the attribute that django-htmx's middleware sets."""

    htmx: HtmxDetails


def signed_in_user(request: HttpRequest) -> User:
    """The signed-in user. Call this only if the user is known to be signed in, as behind `sign_in_required`."""
    return cast(User, request.user)


def sign_in_required(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Like `login_required`, but an htmx request without a session redirects the whole page to the sign-in."""

    @wraps(view)
    def guarded(request: PageRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if request.htmx:
            next_url = request.htmx.current_url_abs_path or "/"
            return HttpResponseClientRedirect(f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': next_url})}")
        return redirect_to_login(request.get_full_path())

    return guarded


def get_own_task(request: HttpRequest, task_id: UUID) -> VideoTask:
    """The signed-in user's task. Raises Http404 if it is deleted or another user's, which does not reveal that it exists."""
    task = (
        VideoTask.objects.filter(pk=task_id, user=signed_in_user(request), deleted_at=None)
        .prefetch_related("files", "task_images__image")
        .first()
    )
    if task is None:
        raise Http404
    return task

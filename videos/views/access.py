"""Who may see a page: the person signed in, and of videos only their own."""

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
    """A request as our middleware hands it on."""

    htmx: HtmxDetails


def signed_in_user(request: HttpRequest) -> User:
    """The person signed in; only behind `signed_in`."""
    return cast(User, request.user)


def sign_in_required(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Like `login_required`; a live fragment whose session ended moves its whole page to the sign-in."""

    @wraps(view)
    def guarded(request: PageRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if request.htmx:
            back = request.htmx.current_url_abs_path or "/"
            return HttpResponseClientRedirect(f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': back})}")
        return redirect_to_login(request.get_full_path())

    return guarded


def get_own_task(request: HttpRequest, task_id: UUID) -> VideoTask:
    """The person's task, not deleted; 404 for everybody else's, so that nobody learns that it exists."""
    task = (
        VideoTask.objects.filter(pk=task_id, user=signed_in_user(request), deleted_at=None)
        .prefetch_related("files", "task_images__image")
        .first()
    )
    if task is None:
        raise Http404
    return task

"""The pages on which users change their settings: preferences, sessions, and closing the account."""

from typing import cast

from allauth.account.decorators import reauthentication_required
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views import i18n
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import user_actions
from accounts.forms import CloseAccountForm, PreferencesForm
from accounts.models import User


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    # The form edits a separate instance, so that a rejected name does not show in the page's header.
    form = PreferencesForm(request.POST or None, instance=User.objects.get(pk=user.pk))
    if form.is_valid():
        saved = form.save()
        response = redirect("accounts:preferences")
        if not saved.language:
            # Choosing the browser's language also removes the cookie of the language switch.
            response.delete_cookie(settings.LANGUAGE_COOKIE_NAME)
        with translation.override(saved.language or translation.get_language()):
            messages.success(request, _("Saved."))
        return response
    return render(request, "accounts/preferences.html", {"form": form, "section": "preferences"})


@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Switch the language as Django's view does, and save it as the preference of a signed-in user."""
    response = i18n.set_language(request)
    language = request.POST.get(i18n.LANGUAGE_QUERY_PARAMETER, "")
    if request.user.is_authenticated and language in dict(settings.LANGUAGES):
        User.objects.filter(pk=request.user.pk).update(language=language)
    return response


@login_required
@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign out one browser; ending the current session is a normal sign-out."""
    session = get_object_or_404(UserSession, pk=pk, user=cast(User, request.user))
    if session.session_key == request.session.session_key:
        session.delete()
        logout(request)
        return redirect(settings.LOGIN_URL)
    session.end()
    messages.success(request, _("That session is signed out."))
    return redirect("usersessions_list")


@login_required
@reauthentication_required  # type: ignore[untyped-decorator]
@require_http_methods(["GET", "HEAD", "POST"])
def close_account(request: HttpRequest) -> HttpResponse:
    form = CloseAccountForm(request.POST or None)
    if form.is_valid():
        user = cast(User, request.user)
        user_actions.close_account(user=user, actor=user)
        logout(request)
        return redirect("accounts:closed")
    return render(request, "accounts/delete.html", {"form": form, "section": "delete"})


@require_safe
def account_closed(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/closed.html")

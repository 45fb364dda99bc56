"""The landing page, which visitors see at the studio's URL. A prompt that they type is kept until they sign up."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from videos.ordering import examples

DRAFT_KEY = "studio_draft"
# More than an order accepts, so that the studio can ask the user to shorten a long prompt.
_MAX_CHARACTERS = 10_000
_DRAFT_FIELDS = ("prompt", "mode", "model", "aspect_ratio", "resolution", "duration_s", "seed", "watermark")


def landing(request: HttpRequest) -> HttpResponse:
    """GET: the landing page. POST: keep the typed values in the session and redirect to sign-up or sign-in."""
    if request.method == "POST":
        request.session[DRAFT_KEY] = {
            name: request.POST[name][:_MAX_CHARACTERS] for name in _DRAFT_FIELDS if name in request.POST
        }
        # Only the studio's form has a key: it was sent by a user whose session ended, not by a new visitor.
        return redirect(settings.LOGIN_URL if "key" in request.POST else "account_signup")
    return render(
        request,
        "videos/landing.html",
        {
            "examples": examples.EXAMPLES,
            "signup_credits": settings.SIGNUP_CREDITS,
        },
    )

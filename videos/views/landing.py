"""The page for strangers, at the studio's own address; what they type waits for them until they have signed up."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from videos.ordering import examples

DRAFT_KEY = "studio_draft"
# More than an order takes: a long prompt is shortened by its writer, not by us.
_MAX_CHARACTERS = 10_000
_DRAFT_FIELDS = ("prompt", "mode", "model", "aspect_ratio", "resolution", "duration_s", "seed", "watermark")


def landing(request: HttpRequest) -> HttpResponse:
    """GET: what this is and what it costs. POST: keep what was typed, and go where one signs up or in."""
    if request.method == "POST":
        request.session[DRAFT_KEY] = {
            name: request.POST[name][:_MAX_CHARACTERS] for name in _DRAFT_FIELDS if name in request.POST
        }
        # A form of the studio comes from somebody whose session ended; the landing page's from somebody new.
        return redirect(settings.LOGIN_URL if "key" in request.POST else "account_signup")
    return render(
        request,
        "videos/landing.html",
        {
            "examples": examples.EXAMPLES,
            "signup_credits": settings.SIGNUP_CREDITS,
        },
    )

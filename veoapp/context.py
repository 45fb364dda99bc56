"""What every page knows about the site and the person."""

from functools import lru_cache, partial
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from billing import ledger


def site(request: HttpRequest) -> dict[str, Any]:
    """The site's languages, whether the provider is simulated, and `PURSE`: the person's balance, read when asked for."""
    context: dict[str, Any] = {"SITE_LANGUAGES": settings.LANGUAGES, "SANDBOX": settings.SANDBOX_ALLOWED}
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        context["PURSE"] = lru_cache(maxsize=1)(partial(ledger.balance_of, user))
    return context

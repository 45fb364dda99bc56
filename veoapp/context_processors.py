"""Template variables that every page has."""

from functools import lru_cache, partial
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from billing.alerts import services as alerts
from billing.credits import expired_lots, ledger


def site(request: HttpRequest) -> dict[str, Any]:
    """The site's languages and whether the sandbox may stand in for the provider (`SANDBOX`).

    Signed-in users also get functions, called only by templates that need them: `BALANCE`, `EXPIRING` (credits that
    expire soon) and `OPERATOR_ALERTS` (alerts for the banner).
    """
    context: dict[str, Any] = {"SITE_LANGUAGES": settings.LANGUAGES, "SANDBOX": settings.SANDBOX_ALLOWED}
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        context["BALANCE"] = lru_cache(maxsize=1)(partial(ledger.balance_of, user))
        context["OPERATOR_ALERTS"] = lru_cache(maxsize=1)(partial(alerts.list_banner_items, request))
        context["EXPIRING"] = lru_cache(maxsize=1)(partial(expired_lots.find_expiring_soon, user))
    return context

"""What every page knows about the site."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, Any]:
    """The site's languages and whether the provider is simulated."""
    return {"SITE_LANGUAGES": settings.LANGUAGES, "SANDBOX": settings.SANDBOX_ALLOWED}

"""The health check for load balancers and monitoring."""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Return status 200 while the process runs, and nothing else, because the address is public."""
    return JsonResponse({"status": "ok"})

"""The operators' site: Django admin behind the same login as everything else, with a second factor."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import mfa


class VeoappAdminSite(AdminSite):
    """Django admin, entered through allauth. Outside DEBUG an operator's session must have shown a second factor."""

    site_title = gettext_lazy("veoapp operators")
    site_header = gettext_lazy("veoapp operators")
    index_title = gettext_lazy("Operations")

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether this is an operator whose session is strong enough. Views for operators elsewhere may ask it too."""
        return super().has_permission(request) and (not settings.STAFF_MFA_REQUIRED or mfa.is_strong(request))

    @method_decorator(secure_admin_login)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Strangers go to the site's login, others are refused; an operator is led to what is missing, told why."""
        if self.has_permission(request):
            return redirect(_wanted(request))
        if mfa.has_second_factor(request.user):
            return redirect(f"{reverse('mfa_reauthenticate')}?{urlencode({'next': _wanted(request)})}")
        messages.warning(
            request,
            _("Operators spend money and see everybody's work, so they sign in with a second step. Set it up here."),
        )
        return redirect("mfa_activate_totp")


def _wanted(request: HttpRequest) -> str:
    """The page of this site that was asked for before the login came between."""
    wanted = request.GET.get("next", "")
    own = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if own else reverse("admin:index")

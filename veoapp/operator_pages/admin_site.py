"""The operators' site: Django admin behind the same login as everything else, with a second factor."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_htmx.http import HttpResponseClientRefresh

from accounts import mfa
from accounts.seams import clock
from billing.common.periods import site_zone
from billing.reports import ranges
from veoapp.operator_pages import reconciliation
from veoapp.operator_pages.dashboard import files, now, page, rights

# The header's places, by table; those without a page, or without the right to see it, are left out.
PLACES: dict[str, Promise] = {
    "videos.VideoTask": gettext_lazy("Videos"),
    "accounts.User": gettext_lazy("People"),
    "billing.Price": gettext_lazy("Prices"),
    "billing.Budget": gettext_lazy("Budgets"),
    "billing.ProviderAccount": gettext_lazy("Provider"),
    "billing.Alert": gettext_lazy("Alerts"),
}
# Where a request keeps what it has found out about the tables.
_TABLES = "_operators_tables"


class VeoappAdminSite(AdminSite):
    """Django admin, entered through allauth. Outside DEBUG an operator's session must have shown a second factor."""

    site_title = gettext_lazy("veoapp operators")
    site_header = gettext_lazy("veoapp operators")
    index_title = gettext_lazy("Cost")
    enable_nav_sidebar = False  # the header leads everywhere

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether this is an operator whose session is strong enough. Views for operators elsewhere may ask it too."""
        return super().has_permission(request) and (
            not settings.STAFF_MFA_REQUIRED or mfa.has_shown_second_factor(request)
        )

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """The tables that this operator may see. Asked for by the header and by the first page: found once a request."""
        if app_label is not None:
            return super().get_app_list(request, app_label)
        known: list[dict[str, Any]] | None = getattr(request, _TABLES, None)
        if known is None:
            known = super().get_app_list(request)
            setattr(request, _TABLES, known)
        return known

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Every page's header: the places that this operator may go to."""
        context = super().each_context(request)
        return {**context, "places": list(_places(request, context["available_apps"]))}

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """The tables of the first page as files and reconciliation, beside Django's own."""
        export = path(
            "dashboard/export/<slug:table>.<slug:suffix>", self.admin_view(files.answer), name="dashboard_export"
        )
        compared = path("reconciliation/", self.admin_view(reconciliation.page), name="reconciliation")
        return [export, compared, *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """What it costs and whether it goes on, on the site's clock; then every table."""
        at = clock.now()
        board = now.read(ranges.asked(request.GET, at=at), at=at, tables=rights.tables_of(request.user))
        with timezone.override(site_zone()):
            response = super().index(request, {**page.context(board), **(extra_context or {})})
            response.render()
        return response

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Where whoever may not enter (any more) goes. When a part of a page asked, the whole page follows."""
        if request.headers.get("HX-Request"):
            return HttpResponseClientRefresh()
        return self._enter(request)

    @method_decorator(secure_admin_login)
    def _enter(self, request: HttpRequest) -> HttpResponse:
        """Strangers go to the site's login, others are refused; an operator is led to what is missing, told why."""
        if self.has_permission(request):
            return redirect(_wanted(request))
        if mfa.has_second_factor(request.user):
            return redirect(f"{reverse('mfa_reauthenticate')}?{urlencode({'next': _wanted(request)})}")
        messages.warning(
            request,
            _(
                "Operators spend money and see everybody's work, so they sign in with a second step. Set one up to go on."
            ),
        )
        return redirect("mfa_activate_totp")


@dataclass(frozen=True)
class Place:
    """One entry of the header: `here` when the page shown belongs to it."""

    name: str
    url: str
    here: bool


def _places(request: HttpRequest, apps: list[dict[str, Any]]) -> Iterator[Place]:
    home = reverse("admin:index")
    yield Place(str(VeoappAdminSite.index_title), home, request.path == home)
    tables = {f"{app['app_label']}.{table['object_name']}": table for app in apps for table in app["models"]}
    for key, name in PLACES.items():
        table = tables.get(key)
        if table and table["admin_url"]:
            yield Place(str(name), table["admin_url"], request.path.startswith(table["admin_url"]))
    compared = reverse("admin:reconciliation")
    if request.user.has_perm("billing.view_providerentry"):
        yield Place(_("Reconciliation"), compared, request.path.startswith(compared))


def _wanted(request: HttpRequest) -> str:
    """The page of this site that was asked for before the login came between."""
    wanted = request.GET.get("next", "")
    own = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if own else reverse("admin:index")

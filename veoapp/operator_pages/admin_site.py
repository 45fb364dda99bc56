"""The operators' site: Django's admin with our pages, behind the site's own login and a second factor."""

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
from billing.reports import date_ranges
from veoapp.operator_pages import reconciliation
from veoapp.operator_pages.dashboard import exports, permissions, snapshot, view_model

# The links in the header, by table; a user without permission for a table does not see its link.
NAVIGATION: dict[str, Promise] = {
    "videos.VideoTask": gettext_lazy("Videos"),
    "accounts.User": gettext_lazy("Users"),
    "billing.Price": gettext_lazy("Prices"),
    "billing.Budget": gettext_lazy("Budgets"),
    "billing.ProviderAccount": gettext_lazy("Provider"),
    "billing.Alert": gettext_lazy("Alerts"),
}
# The attribute of a request in which the list of tables is cached.
_APP_LIST = "_operator_app_list"


class VeoappAdminSite(AdminSite):
    """Django admin with allauth's login. With STAFF_MFA_REQUIRED an operator's session needs a second factor."""

    site_title = gettext_lazy("veoapp operators")
    site_header = gettext_lazy("veoapp operators")
    index_title = gettext_lazy("Cost")
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether the user is an operator who, if required, has used a second factor in this session.

        Views for operators outside the admin may call this method.
        """
        return super().has_permission(request) and (
            not settings.STAFF_MFA_REQUIRED or mfa.has_used_second_factor(request)
        )

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """Return the tables that this operator may see, built once per request for the header and the dashboard."""
        if app_label is not None:
            return super().get_app_list(request, app_label)
        app_list: list[dict[str, Any]] | None = getattr(request, _APP_LIST, None)
        if app_list is None:
            app_list = super().get_app_list(request)
            setattr(request, _APP_LIST, app_list)
        return app_list

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add the links of the header to every page."""
        context = super().each_context(request)
        return {**context, "navigation": list(_navigation_links(request, context["available_apps"]))}

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Add the dashboard's exports and the reconciliation page to Django's own pages."""
        export_path = path(
            "dashboard/export/<slug:table_name>.<slug:suffix>",
            self.admin_view(exports.export_table),
            name="dashboard_export",
        )
        reconciliation_path = path(
            "reconciliation/", self.admin_view(reconciliation.reconciliation_page), name="reconciliation"
        )
        return [export_path, reconciliation_path, *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show the dashboard in the site's time zone, followed by the list of all tables."""
        at = clock.now()
        tables = permissions.visible_tables(request.user)
        data = snapshot.read_dashboard(date_ranges.parse_range(request.GET, at=at), at=at, tables=tables)
        with timezone.override(site_zone()):
            response = super().index(request, {**view_model.build_context(data), **(extra_context or {})})
            response.render()
        return response

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Respond to requests without permission. Requests by htmx, for a part of a page, reload the whole page."""
        if request.headers.get("HX-Request"):
            return HttpResponseClientRefresh()
        return self._login_page(request)

    @method_decorator(secure_admin_login)
    def _login_page(self, request: HttpRequest) -> HttpResponse:
        """Redirect operators to the missing login step. The decorator handles anonymous users and refuses non-operators."""
        if self.has_permission(request):
            return redirect(_next_url(request))
        if mfa.has_second_factor(request.user):
            return redirect(f"{reverse('mfa_reauthenticate')}?{urlencode({'next': _next_url(request)})}")
        messages.warning(
            request,
            _(
                "Operators can spend money and see the videos of all users, so they need two-step sign-in. "
                "Set it up to continue."
            ),
        )
        return redirect("mfa_activate_totp")


@dataclass(frozen=True)
class NavigationLink:
    """A link in the header. `is_current` says whether it leads to the page shown."""

    name: str
    url: str
    is_current: bool


def _navigation_links(request: HttpRequest, apps: list[dict[str, Any]]) -> Iterator[NavigationLink]:
    home = reverse("admin:index")
    yield NavigationLink(str(VeoappAdminSite.index_title), home, request.path == home)
    tables = {f"{app['app_label']}.{table['object_name']}": table for app in apps for table in app["models"]}
    for key, name in NAVIGATION.items():
        table = tables.get(key)
        if table and table["admin_url"]:
            yield NavigationLink(str(name), table["admin_url"], request.path.startswith(table["admin_url"]))
    url = reverse("admin:reconciliation")
    if request.user.has_perm("billing.view_providerentry"):
        yield NavigationLink(_("Reconciliation"), url, request.path.startswith(url))


def _next_url(request: HttpRequest) -> str:
    """Return the page to show after the login: the requested page if it is on this site, else the dashboard."""
    url = request.GET.get("next", "")
    is_on_this_site = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
    return url if is_on_this_site else reverse("admin:index")

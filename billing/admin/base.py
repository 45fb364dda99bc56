"""The base class of the read-only admin lists, and the confirmation page of admin actions."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model
from django.forms import Form
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise

from accounts.admin.lists import TolerantModelAdmin
from accounts.models import User
from billing.admin.cells import list_url


class ReadOnlyAdmin(TolerantModelAdmin):
    """A list whose rows are changed by actions only; the admin's own forms neither add, edit nor delete them."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def acting_operator(request: HttpRequest) -> User:
    """The operator who sent the request. Raises TypeError for a request without a signed-in user."""
    if not isinstance(request.user, User):
        raise TypeError("an action needs an operator")
    return request.user


def came_from_dashboard(request: HttpRequest) -> bool:
    """Whether the action was started on the dashboard; the operator is then sent back there."""
    return request.POST.get("return_to") == "dashboard"


def ask_confirmation(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    *,
    action: str,
    title: str | Promise,
    text: str | Promise,
    button: str | Promise,
    rows: list[Any],
    form: Form | None = None,
    is_destructive: bool = False,
) -> TemplateResponse:
    """The confirmation page of an action: the selected rows, what will happen, and the form to fill in."""
    list_name = model_admin.opts.label_lower.replace(".", "_")
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": title,
        "text": text,
        "button": button,
        "action": action,
        "rows": rows,
        "form": form,
        "is_destructive": is_destructive,
        "checkbox_name": ACTION_CHECKBOX_NAME,
        "back_url": reverse("admin:index") if came_from_dashboard(request) else list_url(list_name),
        "action_url": list_url(list_name),
        "from_dashboard": came_from_dashboard(request),
    }
    return TemplateResponse(request, "admin/billing/ask.html", context)

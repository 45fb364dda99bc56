"""What operators may read and nobody may edit, and how its cells look."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model
from django.forms import Form
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from accounts.admin.lists import TolerantModelAdmin
from accounts.models import User
from billing.models import ProviderAccount

PAGES_OF = {
    "video": "admin:videos_videotask_change",
    "job": "admin:videos_videotask_change",
    "voucher": "admin:billing_voucher_change",
    "lot": "admin:billing_creditlot_change",
}
NAMES_OF: dict[str, Promise] = {
    "video": gettext_lazy("Video %(number)s"),
    "job": gettext_lazy("Video %(number)s"),
    "voucher": gettext_lazy("Voucher %(number)s"),
    "lot": gettext_lazy("Lot %(number)s"),
}


class ReadOnlyAdmin(TolerantModelAdmin):
    """Rows that only acts write: no adding, no editing, no deleting."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def operator_of(request: HttpRequest) -> User:
    """Who is acting; the operators' site lets nobody in without an account."""
    if not isinstance(request.user, User):
        raise TypeError("an act needs its operator")
    return request.user


def chip(word: object, tone: str = "") -> SafeString:
    """A state's word in its tone (good, warn, bad, info)."""
    return format_html('<span class="chip{}">{}</span>', f" chip-{tone}" if tone else "", word)


def number(text: object) -> SafeString:
    """Digits under digits."""
    return format_html('<span class="num nowrap">{}</span>', text)


def signed(amount: int) -> str:
    """A movement of user credits: `+1,200`, `-60`."""
    return f"{'+' if amount > 0 else ''}{number_format(amount)}"


def moment(at: datetime | None) -> SafeString | str:
    """A time to the second, in the operator's zone."""
    if at is None:
        return "–"
    local = timezone.localtime(at)
    words = f"{local:%Y-%m-%d %H:%M:%S}"
    return format_html('<time class="num nowrap" datetime="{}">{}</time>', local.isoformat(), words)


def person_link(user: User) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("admin:accounts_user_change", args=[user.pk]), user.email)


def reference_link(reference: str) -> SafeString | str:
    """To what a reference names, where operators can see it: `video:<id>` to the video's own page."""
    kind, _, name = reference.partition(":")
    try:
        url = reverse(PAGES_OF[kind], args=[name])
    except (KeyError, NoReverseMatch):
        return reference
    short = NAMES_OF[kind] % {"number": name.partition("-")[0].upper()}
    return format_html('<a class="num nowrap" href="{}" title="{}">{}</a>', url, reference, short)


def account_link(account: ProviderAccount | None) -> SafeString | str:
    if account is None:
        return "–"
    url = reverse("admin:billing_provideraccount_change", args=[account.pk])
    return format_html('<a href="{}">{}</a>', url, account)


def list_url(name: str, **filters: object) -> str:
    """The address of a list (`billing_ledgerentry`), narrowed down."""
    query = f"?{urlencode(filters)}" if filters else ""
    return reverse(f"admin:{name}_changelist") + query


def from_first_page(request: HttpRequest) -> bool:
    """Whether the act was begun on the operators' first page, where it then ends."""
    return request.POST.get("return_to") == "dashboard"


def ask(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    *,
    action: str,
    title: str | Promise,
    text: str | Promise,
    button: str | Promise,
    chosen: list[Any],
    form: Form | None = None,
    warns: bool = False,
) -> TemplateResponse:
    """The page between choosing an action and doing it: whom it concerns, what will happen, what must be said."""
    name = model_admin.opts.label_lower.replace(".", "_")
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": title,
        "text": text,
        "button": button,
        "action": action,
        "chosen": chosen,
        "form": form,
        "warns": warns,
        "checkbox_name": ACTION_CHECKBOX_NAME,
        "back": reverse("admin:index") if from_first_page(request) else list_url(name),
        "acts_at": list_url(name),
        "from_first_page": from_first_page(request),
    }
    return TemplateResponse(request, "admin/billing/ask.html", context)

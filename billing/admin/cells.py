"""Formats the cells of admin lists and pages: chips (small coloured labels), numbers, times and links."""

from datetime import datetime
from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from accounts.models import User
from billing.models import ProviderAccount

# Keyed by the kind of a reference, the part before its colon. A job has the page of its video.
REFERENCE_PAGES = {
    "video": "admin:videos_videotask_change",
    "job": "admin:videos_videotask_change",
    "voucher": "admin:billing_voucher_change",
    "lot": "admin:billing_creditlot_change",
}
REFERENCE_NAMES: dict[str, Promise] = {
    "video": gettext_lazy("Video %(number)s"),
    "job": gettext_lazy("Video %(number)s"),
    "voucher": gettext_lazy("Voucher %(number)s"),
    "lot": gettext_lazy("Lot %(number)s"),
}


def chip(label: object, tone: str = "") -> SafeString:
    """A small coloured label. `tone` is good, warn, bad, info, or empty for grey."""
    return format_html('<span class="chip{}">{}</span>', f" chip-{tone}" if tone else "", label)


def number_cell(text: object) -> SafeString:
    """A number in digits of equal width, so that columns align."""
    return format_html('<span class="num nowrap">{}</span>', text)


def time_cell(at: datetime | None) -> SafeString | str:
    """A time to the second, in the operator's time zone."""
    if at is None:
        return "–"
    local = timezone.localtime(at)
    text = f"{local:%Y-%m-%d %H:%M:%S}"
    return format_html('<time class="num nowrap" datetime="{}">{}</time>', local.isoformat(), text)


def link_user(user: User) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("admin:accounts_user_change", args=[user.pk]), user.email)


def link_reference(reference: str) -> SafeString | str:
    """A link to the page of the row that a reference names, such as `video:<id>`. Unknown references stay plain text."""
    kind, _, name = reference.partition(":")
    try:
        url = reverse(REFERENCE_PAGES[kind], args=[name])
    except (KeyError, NoReverseMatch):
        return reference
    text = REFERENCE_NAMES[kind] % {"number": name.partition("-")[0].upper()}
    return format_html('<a class="num nowrap" href="{}" title="{}">{}</a>', url, reference, text)


def link_account(account: ProviderAccount | None) -> SafeString | str:
    if account is None:
        return "–"
    url = reverse("admin:billing_provideraccount_change", args=[account.pk])
    return format_html('<a href="{}">{}</a>', url, account)


def list_url(name: str, **filters: object) -> str:
    """The URL of an admin list, such as `billing_ledgerentry`, with filters."""
    query = f"?{urlencode(filters)}" if filters else ""
    return reverse(f"admin:{name}_changelist") + query

"""Cells of admin lists and pages: chips, numbers, times and links."""

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


def chip(word: object, tone: str = "") -> SafeString:
    """A label in a tone: good, warn, bad or info."""
    return format_html('<span class="chip{}">{}</span>', f" chip-{tone}" if tone else "", word)


def number_cell(text: object) -> SafeString:
    """A number in tabular digits."""
    return format_html('<span class="num nowrap">{}</span>', text)


def time_cell(at: datetime | None) -> SafeString | str:
    """A time to the second, in the operator's time zone."""
    if at is None:
        return "–"
    local = timezone.localtime(at)
    words = f"{local:%Y-%m-%d %H:%M:%S}"
    return format_html('<time class="num nowrap" datetime="{}">{}</time>', local.isoformat(), words)


def person_link(user: User) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("admin:accounts_user_change", args=[user.pk]), user.email)


def reference_link(reference: str) -> SafeString | str:
    """A link to what a reference names: `video:<id>` to the page of the video. Unknown references stay text."""
    kind, _, name = reference.partition(":")
    try:
        url = reverse(REFERENCE_PAGES[kind], args=[name])
    except (KeyError, NoReverseMatch):
        return reference
    short = REFERENCE_NAMES[kind] % {"number": name.partition("-")[0].upper()}
    return format_html('<a class="num nowrap" href="{}" title="{}">{}</a>', url, reference, short)


def account_link(account: ProviderAccount | None) -> SafeString | str:
    if account is None:
        return "–"
    url = reverse("admin:billing_provideraccount_change", args=[account.pk])
    return format_html('<a href="{}">{}</a>', url, account)


def list_url(name: str, **filters: object) -> str:
    """The URL of a list (`billing_ledgerentry`) with filters."""
    query = f"?{urlencode(filters)}" if filters else ""
    return reverse(f"admin:{name}_changelist") + query

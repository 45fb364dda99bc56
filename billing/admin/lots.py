"""Lists the credit lots (see `billing.credits.lots`), read-only."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.seams import clock
from billing.admin.base import ReadOnlyAdmin
from billing.admin.cells import chip, link_user, list_url, number_cell, time_cell
from billing.credits import expired_lots
from billing.models import CreditLot


class RemainingFilter(admin.SimpleListFilter):
    """Filter by the credits left in a lot, and by expiry within a week."""

    title = gettext_lazy("credits left")
    parameter_name = "held"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", _("Some")), ("week", _("Some, expiring within a week")), ("no", _("Nothing"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[CreditLot]) -> QuerySet[CreditLot]:
        if self.value() == "no":
            return queryset.filter(remaining=0)
        if self.value() == "week":
            return queryset.filter(remaining__gt=0, expires_at__lte=clock.now() + expired_lots.WEEK)
        return queryset.filter(remaining__gt=0) if self.value() == "yes" else queryset


@admin.register(CreditLot)
class CreditLotAdmin(ReadOnlyAdmin):
    """Credits that were granted together and expire together. Lots change only through ledger entries."""

    list_display = ("id", "user_link", "credits_left", "credits_granted", "expires", "status", "source")
    list_filter = (RemainingFilter, "is_grace", "expires_at")
    list_select_related = ("account__user", "entry")
    search_fields = ("account__user__email", "entry__note", "entry__reference")
    fields = (
        "user_link",
        "credits_left",
        "credits_granted",
        "expires",
        "expired_at",
        "status",
        "source",
        "week_warned_at",
        "day_warned_at",
    )

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Allow the filter by user in the URL, because the page of a user links to that user's lots."""
        return lookup == "account__user" or super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields

    @admin.display(description=gettext_lazy("user"), ordering="account__user__email")
    def user_link(self, lot: CreditLot) -> SafeString:
        return link_user(lot.account.user)

    @admin.display(description=gettext_lazy("left"), ordering="remaining")
    def credits_left(self, lot: CreditLot) -> SafeString:
        return number_cell(number_format(lot.remaining))

    @admin.display(description=gettext_lazy("of"), ordering="granted")
    def credits_granted(self, lot: CreditLot) -> SafeString:
        return number_cell(number_format(lot.granted))

    @admin.display(description=gettext_lazy("until"), ordering="expires_at")
    def expires(self, lot: CreditLot) -> SafeString | str:
        return time_cell(lot.expires_at) if lot.expires_at else _("no expiry")

    @admin.display(description=gettext_lazy("state"))
    def status(self, lot: CreditLot) -> SafeString | str:
        if lot.expired_at is not None:
            return chip(_("Expired"))
        return chip(_("Grace"), "info") if lot.is_grace else "–"

    @admin.display(description=gettext_lazy("source"))
    def source(self, lot: CreditLot) -> SafeString | str:
        if lot.entry is None:
            return _("balance from before lots existed")
        url = list_url("billing_ledgerentry") + f"{lot.entry_id}/change/"
        # A grace lot holds refunded credits; the note of a refund is an internal code.
        note = "" if lot.is_grace else lot.entry.note
        return format_html('<a href="{}">{} {}</a>', url, lot.entry, note)

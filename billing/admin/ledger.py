"""Lists the ledger entries (the changes of users' credits), read-only."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from billing.admin.base import ReadOnlyAdmin
from billing.admin.cells import chip, link_reference, link_user, list_url, number_cell, time_cell
from billing.common.formatting import format_signed
from billing.models import CreditLot, LedgerEntry

Kind = LedgerEntry.Kind
TONES = {Kind.GRANT: "good", Kind.PURCHASE: "good", Kind.REFUND: "info", Kind.ADJUSTMENT: "warn", Kind.EXPIRY: "warn"}


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    """The ledger. Entries are never edited; a mistake is corrected by a further entry."""

    list_display = ("at", "user_link", "kind_chip", "credits", "new_balance", "reference_link", "actor", "note")
    list_display_links = ("at",)
    list_filter = ("kind", "created_at")
    list_select_related = ("account__user", "actor")
    search_fields = ("account__user__email", "reference", "idempotency_key", "note")
    search_help_text = _("An e-mail address, a reference, a key or words of the note")
    fields = (
        "at",
        "user_link",
        "kind_chip",
        "credits",
        "new_balance",
        "reference_link",
        "reverses",
        "refunded_by",
        "lots",
        "actor",
        "note",
        "idempotency_key",
    )

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Allow the filter by user in the URL, because the page of a user links to that user's entries."""
        return lookup == "account__user" or super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields

    @admin.display(description=_("at"), ordering="id")
    def at(self, entry: LedgerEntry) -> SafeString | str:
        return time_cell(entry.created_at)

    @admin.display(description=_("user"), ordering="account__user__email")
    def user_link(self, entry: LedgerEntry) -> SafeString:
        return link_user(entry.account.user)

    @admin.display(description=_("kind"), ordering="kind")
    def kind_chip(self, entry: LedgerEntry) -> SafeString:
        return chip(entry.get_kind_display(), TONES.get(Kind(entry.kind), ""))

    @admin.display(description=_("credits"), ordering="amount")
    def credits(self, entry: LedgerEntry) -> SafeString:
        return number_cell(format_signed(entry.amount))

    @admin.display(description=_("balance after"))
    def new_balance(self, entry: LedgerEntry) -> SafeString:
        return number_cell(number_format(entry.balance_after))

    @admin.display(description=_("reference"), ordering="reference")
    def reference_link(self, entry: LedgerEntry) -> SafeString | str:
        return link_reference(entry.reference) if entry.reference else "–"

    @admin.display(description=_("refunded by"))
    def refunded_by(self, entry: LedgerEntry) -> object:
        return LedgerEntry.objects.filter(reverses=entry).first() or "–"

    @admin.display(description=_("lots"))
    def lots(self, entry: LedgerEntry) -> SafeString | str:
        """The lots that the entry changed, with the amounts."""
        changes = [(use.lot_id, use.amount) for use in entry.lot_uses.order_by("id")]
        changes += CreditLot.objects.filter(entry=entry).values_list("pk", "granted")
        cells = [
            format_html('<a href="{}{}/change/">{}</a>', list_url("billing_creditlot"), lot_id, number_format(amount))
            for lot_id, amount in changes
        ]
        return format_html(", ".join(["{}"] * len(cells)), *cells) if cells else "–"

"""Lists, read-only, what explains differences from the provider: balance entries, and answers about files.

It also lists the runs of the audit, which checks our own books (see `billing.audit`).
"""

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from billing.admin.base import ReadOnlyAdmin
from billing.admin.cells import chip, link_account, link_reference, number_cell, time_cell
from billing.admin.spend import JobSearchAdmin
from billing.common.formatting import format_amount, format_signed
from billing.models import BooksRun, FileAnswer, ProviderEntry

ENTRY_TONES = {
    ProviderEntry.Kind.TOP_UP: "good",
    ProviderEntry.Kind.RETURNED: "info",
    ProviderEntry.Kind.CORRECTION: "warn",
}


@admin.register(ProviderEntry)
class ProviderEntryAdmin(JobSearchAdmin):
    """The changes of the provider balance other than charges for jobs: top-ups, returned credits and corrections.

    The list is append-only: the database refuses edits.
    """

    list_display = (
        "happened",
        "kind_chip",
        "signed_amount",
        "reason_text",
        "reference_link",
        "operator",
        "account_link",
        "written",
    )
    list_display_links = None
    list_filter = ("kind", "account", "happened_at")
    list_select_related = ("account", "actor")
    date_hierarchy = "happened_at"
    search_fields = ("reason", "job_id", "actor__email")

    @admin.display(description=_("happened at"), ordering="happened_at")
    def happened(self, entry: ProviderEntry) -> SafeString | str:
        return time_cell(entry.happened_at)

    @admin.display(description=_("kind"), ordering="kind")
    def kind_chip(self, entry: ProviderEntry) -> SafeString:
        return chip(entry.get_kind_display(), ENTRY_TONES[ProviderEntry.Kind(entry.kind)])

    @admin.display(description=_("amount"), ordering="amount")
    def signed_amount(self, entry: ProviderEntry) -> SafeString:
        return number_cell(format_signed(entry.amount))

    @admin.display(description=_("reason"))
    def reason_text(self, entry: ProviderEntry) -> str:
        return entry.reason_text

    @admin.display(description=_("reference"), ordering="job_id")
    def reference_link(self, entry: ProviderEntry) -> SafeString | str:
        return link_reference(f"job:{entry.job_id}") if entry.job_id else "–"

    @admin.display(description=_("actor"), ordering="actor__email")
    def operator(self, entry: ProviderEntry) -> object:
        return entry.actor or "–"

    @admin.display(description=_("account"))
    def account_link(self, entry: ProviderEntry) -> SafeString | str:
        return link_account(entry.account)

    @admin.display(description=_("written at"), ordering="created_at")
    def written(self, entry: ProviderEntry) -> SafeString | str:
        return time_cell(entry.created_at)


@admin.register(FileAnswer)
class FileAnswerAdmin(ReadOnlyAdmin):
    """Operators' explanations of files that do not match what was paid. Append-only: the database refuses edits."""

    list_display = ("answered", "difference", "reference_link", "cost", "reason", "actor")
    list_display_links = None
    list_filter = ("kind", "at")
    list_select_related = ("actor",)
    search_fields = ("reference", "reason", "actor__email")

    @admin.display(description=_("at"), ordering="at")
    def answered(self, answer: FileAnswer) -> SafeString | str:
        return time_cell(answer.at)

    @admin.display(description=_("difference"), ordering="kind")
    def difference(self, answer: FileAnswer) -> str:
        return answer.get_kind_display()

    @admin.display(description=_("reference"), ordering="reference")
    def reference_link(self, answer: FileAnswer) -> SafeString | str:
        return link_reference(answer.reference)

    @admin.display(description=_("provider credits"), ordering="provider_credits")
    def cost(self, answer: FileAnswer) -> SafeString:
        return number_cell(format_amount(answer.provider_credits))


@admin.register(BooksRun)
class BooksRunAdmin(ReadOnlyAdmin):
    """The runs of the audit (see `billing.audit.runner`), which are kept for 30 days."""

    list_display = ("started", "verdict", "problems", "duration", "is_deep")
    list_filter = ("at", "is_deep")

    @admin.display(description=_("at"), ordering="at")
    def started(self, run: BooksRun) -> SafeString | str:
        return time_cell(run.at)

    @admin.display(description=_("the books"), ordering="problems")
    def verdict(self, run: BooksRun) -> SafeString:
        return chip(_("Problems"), "bad") if run.problems else chip(pgettext("the books", "Balance"), "good")

    @admin.display(description=_("took"), ordering="took_s")
    def duration(self, run: BooksRun) -> SafeString:
        return number_cell(f"{run.took_s:.2f} s")

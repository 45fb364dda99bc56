"""A user's statement: ledger entries filtered by kind and days, one page at a time or all of them as CSV."""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, datetime, time, timedelta

from django import forms
from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from billing.common.form_fields import day_field, parse_row_number
from billing.credits import ledger
from billing.models import LedgerEntry

Kind = ledger.Kind

PAGE_SIZE = 50
# Entries read at once for the CSV download.
BATCH_SIZE = 1000

# The choices of the kind filter: the value of the URL parameter, its label, and the kinds of entries that it shows.
KIND_FILTERS: dict[str, tuple[Promise | str, list[str]]] = {
    "": (_("All"), Kind.values),
    "videos": (_("Videos"), [Kind.CHARGE]),
    "refunds": (_("Refunds"), [Kind.REFUND]),
    "received": (_("Received"), [Kind.GRANT, Kind.PURCHASE]),
    "expired": (_("Expired"), [Kind.EXPIRY]),
    "other": (_("Corrections"), [Kind.ADJUSTMENT]),
}


COLUMNS = (_("When"), _("Kind"), _("What"), _("Credits"), _("Balance"), _("Valid until"), _("Video"))


class PeriodForm(forms.Form):
    """First and last day, both included, in the reader's time zone."""

    since = day_field(_("From"))
    until = day_field(_("To"))

    def clean(self) -> None:
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since and until and since > until:
            self.add_error("until", gettext("The last day is before the first."))


class Statement:
    """A user's entries as filtered by the URL parameters `kind`, `since` and `until`.

    Invalid parameters are ignored. The form `period` holds the error messages for `since` and `until`.
    """

    def __init__(self, user: User, params: dict[str, str]) -> None:
        self.user = user
        self.kind = params.get("kind", "") if params.get("kind", "") in KIND_FILTERS else ""
        self.period = PeriodForm({name: params[name] for name in ("since", "until") if params.get(name)})
        days = self.period.cleaned_data if self.period.is_valid() else {}
        self.since: date | None = days.get("since")
        self.until: date | None = days.get("until")

    @property
    def is_filtered(self) -> bool:
        return bool(self.kind or self.period.data)

    def query_string(self, **changes: str) -> str:
        """The URL query string of the current filters with these changes."""
        params = {"kind": self.kind, **self.period.data, **changes}
        return urlencode({name: value for name, value in params.items() if value})

    def entries(self) -> QuerySet[LedgerEntry]:
        """The entries that pass the filters, newest first."""
        entries = ledger.statement(self.user).select_related("reverses", "lot")
        if self.kind:
            entries = entries.filter(kind__in=KIND_FILTERS[self.kind][1])
        if self.since:
            entries = entries.filter(created_at__gte=_midnight(self.since))
        if self.until:
            entries = entries.filter(created_at__lt=_midnight(self.until + timedelta(days=1)))
        return entries.order_by("-pk")

    def page(self, *, before: str = "") -> tuple[list[LedgerEntry], int | None]:
        """One page of entries, and the value of `before` for the next page (None on the last page).

        `before` is an entry id as text; the page begins with the entry before it.
        """
        entries = self.entries()
        if (before_id := parse_row_number(before)) is not None:
            entries = entries.filter(pk__lt=before_id)
        page = list(entries[: PAGE_SIZE + 1])
        return page[:PAGE_SIZE], page[PAGE_SIZE - 1].pk if len(page) > PAGE_SIZE else None

    def rows(self) -> Iterator[list[str | int]]:
        """A heading row, then a row for each entry, in the language and time zone that are active during this call.

        The rows are generated while the response is streamed, when language and time zone have been reset already.
        """
        language, zone = translation.get_language(), timezone.get_current_timezone()
        heading: list[str | int] = [str(name) for name in COLUMNS]

        def generate() -> Iterator[list[str | int]]:
            yield heading
            for entries in self._batches():
                with translation.override(language), timezone.override(zone):
                    texts = describe_references({entry.reference for entry in entries})
                    rows = [_row(entry, texts.get(entry.reference)) for entry in entries]
                yield from rows

        return generate()

    def _batches(self) -> Iterator[list[LedgerEntry]]:
        """All entries, newest first, in batches that fit into memory."""
        entries = list(self.entries()[:BATCH_SIZE])
        while entries:
            yield entries
            entries = list(self.entries().filter(pk__lt=entries[-1].pk)[:BATCH_SIZE])


def _row(entry: LedgerEntry, prompt: str | None) -> list[str | int]:
    lot = getattr(entry, "lot", None)
    if entry.kind in (Kind.CHARGE, Kind.REFUND):
        # The note of these entries is for operators; users see the prompt of the video.
        description = gettext("Deleted video") if prompt is None else prompt
    else:
        description = gettext(entry.note) if entry.note else ""
    return [
        _format_time(entry.created_at),
        entry.get_kind_display(),
        description,
        entry.amount,
        entry.balance_after,
        _format_time(lot.expires_at) if lot is not None and lot.expires_at else "",
        _video_url(entry.reference),
    ]


def _video_url(reference: str) -> str:
    """The URL of the video that a reference names; empty for other references."""
    kind, _colon, name = reference.partition(":")
    return settings.APP_URL + reverse("videos:video", args=[name]) if kind == "video" else ""


def _format_time(at: datetime) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S}"


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


# A function that maps ledger references to texts; it leaves out references that it does not know.
ReferenceDescriber = Callable[[Collection[str]], Mapping[str, str]]

_describers: list[ReferenceDescriber] = []


def register_describer(describe: ReferenceDescriber) -> None:
    """Add a function that describes references in statements."""
    _describers.append(describe)


def describe_references(references: Collection[str]) -> dict[str, str]:
    """The texts for these references, from all registered describers."""
    return {reference: text for describe in _describers for reference, text in describe(references).items()}

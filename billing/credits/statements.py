"""A person's statement: narrowed down by kind and days, a page at a time or whole as a sheet."""

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

PAGE = 50
AT_ONCE = 1000

KINDS: dict[str, tuple[Promise | str, list[str]]] = {
    "": (_("All"), Kind.values),
    "videos": (_("Videos"), [Kind.CHARGE]),
    "refunds": (_("Refunds"), [Kind.REFUND]),
    "received": (_("Received"), [Kind.GRANT, Kind.PURCHASE]),
    "expired": (_("Expired"), [Kind.EXPIRY]),
    "other": (_("Corrections"), [Kind.ADJUSTMENT]),
}


COLUMNS = (_("When"), _("Kind"), _("What"), _("Credits"), _("Balance"), _("Usable until"), _("Video"))


class Period(forms.Form):
    """From which day to which, both included, where the reader lives."""

    since = day_field(_("From"))
    until = day_field(_("To"))

    def clean(self) -> None:
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since and until and since > until:
            self.add_error("until", gettext("The last day comes before the first."))


class Statement:
    """What a reader asked to see of their entries, from the parameters of an address: `kind`, `since`, `until`.

    A parameter that makes no sense counts as not given; `period` says what is wrong with the days.
    """

    def __init__(self, user: User, asked: dict[str, str]) -> None:
        self.user = user
        self.kind = asked.get("kind", "") if asked.get("kind", "") in KINDS else ""
        self.period = Period({name: asked[name] for name in ("since", "until") if asked.get(name)})
        days = self.period.cleaned_data if self.period.is_valid() else {}
        self.since: date | None = days.get("since")
        self.until: date | None = days.get("until")

    @property
    def is_narrowed(self) -> bool:
        return bool(self.kind or self.period.data)

    def query(self, **changes: str) -> str:
        """The parameters of an address that shows the same, but for the changes."""
        asked = {"kind": self.kind, **self.period.data, **changes}
        return urlencode({name: value for name, value in asked.items() if value})

    def entries(self) -> QuerySet[LedgerEntry]:
        """Newest first."""
        found = ledger.statement(self.user).select_related("reverses", "lot")
        if self.kind:
            found = found.filter(kind__in=KINDS[self.kind][1])
        if self.since:
            found = found.filter(created_at__gte=_midnight(self.since))
        if self.until:
            found = found.filter(created_at__lt=_midnight(self.until + timedelta(days=1)))
        return found.order_by("-pk")

    def page(self, *, before: str = "") -> tuple[list[LedgerEntry], int | None]:
        """A page of entries older than the one of that number, and the number that the next page begins before."""
        found = self.entries()
        if (number := parse_row_number(before)) is not None:
            found = found.filter(pk__lt=number)
        page = list(found[: PAGE + 1])
        return page[:PAGE], page[PAGE - 1].pk if len(page) > PAGE else None

    def rows(self) -> Iterator[list[str | int]]:
        """Headings, then a row for each entry, in the language and zone spoken now; whoever reads them may have left it."""
        language, zone = translation.get_language(), timezone.get_current_timezone()
        heading: list[str | int] = [str(name) for name in COLUMNS]

        def told() -> Iterator[list[str | int]]:
            yield heading
            for entries in self._stretches():
                with translation.override(language), timezone.override(zone):
                    known = words({entry.reference for entry in entries})
                    rows = [_row(entry, known.get(entry.reference)) for entry in entries]
                yield from rows

        return told()

    def _stretches(self) -> Iterator[list[LedgerEntry]]:
        """All entries, newest first, as many at once as memory does not notice."""
        entries = list(self.entries()[:AT_ONCE])
        while entries:
            yield entries
            entries = list(self.entries().filter(pk__lt=entries[-1].pk)[:AT_ONCE])


def _row(entry: LedgerEntry, prompt: str | None) -> list[str | int]:
    lot = getattr(entry, "lot", None)
    if entry.kind in (Kind.CHARGE, Kind.REFUND):
        # What is noted of these is a word for operators: to its owner, the video itself says what it was.
        what = gettext("A video since deleted") if prompt is None else prompt
    else:
        what = gettext(entry.note) if entry.note else ""
    return [
        _moment(entry.created_at),
        entry.get_kind_display(),
        what,
        entry.amount,
        entry.balance_after,
        _moment(lot.expires_at) if lot is not None and lot.expires_at else "",
        _address(entry.reference),
    ]


def _address(reference: str) -> str:
    """Where the video is, on this site."""
    kind, _colon, name = reference.partition(":")
    return settings.APP_URL + reverse("videos:video", args=[name]) if kind == "video" else ""


def _moment(at: datetime) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S}"


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


# References to words; what is gone is left out.
Describe = Callable[[Collection[str]], Mapping[str, str]]

_describers: list[Describe] = []


def told_by(describe: Describe) -> None:
    """Ask this one too."""
    _describers.append(describe)


def words(references: Collection[str]) -> dict[str, str]:
    """What these references stand for, as far as anybody knows."""
    return {reference: text for describe in _describers for reference, text in describe(references).items()}

"""What reconciliation says in words and lines: the verdict, the reckoning that adds up, our own side's rows."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing.common.formatting import format_amount
from billing.common.periods import site_zone
from billing.models import Spend
from billing.reconciliation import reconcile
from billing.reconciliation.reconcile import Jobs, Reconciliation


@dataclass(frozen=True)
class Line:
    """A line of the reckoning. `tone` colours the amount, `url` leads to what it sums."""

    words: str
    amount: str
    note: str = ""
    tone: str = ""
    url: str = ""
    is_total: bool = False


@dataclass(frozen=True)
class Verdict:
    """The sentence on top: its tone, the word, and what it means."""

    tone: str
    title: str
    text: str


def verdict(found: Reconciliation, *, measuring: bool = False) -> Verdict:
    """In plain words, what came of it."""
    open_now = ""
    if found.open.count:
        facts = {"n": found.open.count, "most": format_amount(-found.in_flight_least)}
        open_now = (
            ngettext(
                "%(n)d video is not settled yet: up to %(most)s credits may have been taken for it.",
                "%(n)d videos are not settled yet: up to %(most)s credits may have been taken for them.",
                found.open.count,
            )
            % facts
        )
    if found.is_gone:
        amount = format_amount(-found.unexplained)
        reason = _("Look where it came up, below, and answer it with an entry once you know why.")
        if found.free.count and found.unexplained >= -found.free.estimated:
            facts = {"n": found.free.count, "estimated": format_amount(found.free.estimated)}
            reason = (
                ngettext(
                    "%(n)d failed video was taken to be free; had it been charged, that would have been %(estimated)s: "
                    "does the provider keep credits of failed videos (CHARGED_WHEN_FAILED)?",
                    "%(n)d failed videos were taken to be free; had they been charged, that would have been %(estimated)s: "
                    "does the provider keep credits of failed videos (CHARGED_WHEN_FAILED)?",
                    found.free.count,
                )
                % facts
            )
        return Verdict("bad", _("%(n)s credits are gone that no video explains.") % {"n": amount}, reason)
    if measuring:
        return Verdict(
            "info", _("Credits came in."), _("They are being measured; a moment later they are written down.")
        )
    if not found.is_explained:
        title = _("%(n)s credits more are there than our books explain.") % {"n": format_amount(found.unexplained)}
        text = _("Videos may have cost less than our price list says, or the provider gave something back.")
        return Verdict("warn", title, text)
    return Verdict("good", _("Everything explained."), open_now)


def reckoning(found: Reconciliation) -> list[Line]:
    """From the first balance to the last, line by line; the lines add up."""
    lines = [
        Line(
            _("Balance at the beginning"),
            format_amount(found.opening.balance),
            _at(found.opening.taken_at),
            is_total=True,
        ),
        Line(_("Top-ups"), signed(found.top_ups)),
        Line(_("Given back by the provider"), signed(found.returned)),
        Line(
            _("Videos whose cost is known"),
            signed(-found.settled.actual),
            ngettext("%(n)d video", "%(n)d videos", found.settled.count) % {"n": found.settled.count},
            url=spends_url(found),
        ),
    ]
    if found.in_flight or found.in_flight_least or found.in_flight_most:
        words = _("between %(least)s and %(most)s; %(n)d on the way at the last reading") % {
            "n": found.open.count,
            "least": signed(found.in_flight_least),
            "most": signed(found.in_flight_most),
        }
        lines.append(Line(_("Videos on the way"), signed(found.in_flight), words))
    lines.append(Line(_("Corrections by operators"), signed(found.corrections)))
    tone = "good" if found.is_explained else "bad" if found.is_gone else "warn"
    lines.append(Line(_("Not explained"), signed(found.unexplained), tone=tone))
    lines.append(
        Line(_("Balance at the end"), format_amount(found.closing.balance), _at(found.closing.taken_at), is_total=True)
    )
    return lines


def row(words: str | Promise, jobs: Jobs, url: str = "") -> dict[str, Any]:
    """A row of our own side."""
    return {
        "words": words,
        "count": jobs.count,
        "estimated": format_amount(jobs.estimated),
        "actual": format_amount(jobs.actual),
        "difference": signed(jobs.actual - jobs.estimated),
        "url": url,
    }


def spends_url(found: Reconciliation, **more: str) -> str:
    """The spend list, narrowed to what was settled in the stretch."""
    facts: dict[str, str | int] = {
        "account__id__exact": found.account.pk,
        "state__exact": Spend.State.SETTLED,
        "settled_at__gt": (found.opening.taken_at - reconcile.GRACE).isoformat(),
        "settled_at__lte": (found.closing.taken_at - reconcile.GRACE).isoformat(),
        **more,
    }
    return f"{reverse('admin:billing_spend_changelist')}?{urlencode(facts)}"


def signed(amount: Decimal) -> str:
    """`+1,000`, `−12.5`, `0`."""
    sign = "+" if amount > 0 else "−" if amount < 0 else ""
    return f"{sign}{format_amount(abs(amount))}"


def _at(at: datetime) -> str:
    return f"{at.astimezone(site_zone()):%Y-%m-%d %H:%M}"

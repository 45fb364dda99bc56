"""The texts and rows of the reconciliation page: the result, the balance line by line, and our own spend."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing.common.formatting import format_amount, format_signed
from billing.common.periods import site_zone
from billing.models import Spend
from billing.reconciliation import reconcile
from billing.reconciliation.reconcile import Jobs, Reconciliation


@dataclass(frozen=True)
class BalanceLine:
    """A line of the balance. `tone` colours the amount, `url` leads to the rows it sums."""

    label: str
    amount: str
    note: str = ""
    tone: str = ""
    url: str = ""
    is_total: bool = False


@dataclass(frozen=True)
class Result:
    """The result at the top of the page: its tone, a title, and an explanation."""

    tone: str
    title: str
    text: str


def describe_result(found: Reconciliation, *, is_measuring: bool = False) -> Result:
    """Describe the result in plain words; `is_measuring` while a top-up is being measured."""
    if found.is_gone:
        title = _("%(n)s credits are missing that no video explains.") % {"n": format_amount(-found.unexplained)}
        return Result("bad", title, _suggest_reason(found))
    if is_measuring:
        text = _("They are being measured and will be recorded in a moment.")
        return Result("info", _("Credits were added."), text)
    if not found.is_explained:
        title = _("There are %(n)s credits more than our books explain.") % {"n": format_amount(found.unexplained)}
        text = _("Videos may have cost less than our price list says, or the provider returned credits.")
        return Result("warn", title, text)
    return Result("good", _("Everything explained."), _describe_open_videos(found))


def list_balance_lines(found: Reconciliation) -> list[BalanceLine]:
    """Return the lines from the first balance to the last; they add up."""
    lines = [
        BalanceLine(
            _("Balance at the beginning"),
            format_amount(found.opening.balance),
            _format_time(found.opening.taken_at),
            is_total=True,
        ),
        BalanceLine(_("Top-ups"), format_signed(found.top_ups)),
        BalanceLine(_("Returned by the provider"), format_signed(found.returned)),
        BalanceLine(
            _("Videos whose cost is known"),
            format_signed(-found.settled.actual),
            ngettext("%(n)d video", "%(n)d videos", found.settled.count) % {"n": found.settled.count},
            url=spends_url(found),
        ),
    ]
    if found.in_flight or found.in_flight_least or found.in_flight_most:
        note = _("between %(least)s and %(most)s; %(n)d in progress at the last reading") % {
            "n": found.open.count,
            "least": format_signed(found.in_flight_least),
            "most": format_signed(found.in_flight_most),
        }
        lines.append(BalanceLine(_("Videos in progress"), format_signed(found.in_flight), note))
    lines.append(BalanceLine(_("Corrections by operators"), format_signed(found.corrections)))
    tone = "good" if found.is_explained else "bad" if found.is_gone else "warn"
    lines.append(BalanceLine(_("Not explained"), format_signed(found.unexplained), tone=tone))
    lines.append(
        BalanceLine(
            _("Balance at the end"),
            format_amount(found.closing.balance),
            _format_time(found.closing.taken_at),
            is_total=True,
        )
    )
    return lines


def build_spend_row(label: str | Promise, jobs: Jobs, url: str = "") -> dict[str, Any]:
    """Return a row of our own spend."""
    return {
        "label": label,
        "count": jobs.count,
        "estimated": format_amount(jobs.estimated),
        "actual": format_amount(jobs.actual),
        "difference": format_signed(jobs.actual - jobs.estimated),
        "url": url,
    }


def spends_url(found: Reconciliation, **filters: str) -> str:
    """Return the address of the spends settled in the period, filtered."""
    query: dict[str, str | int] = {
        "account__id__exact": found.account.pk,
        "state__exact": Spend.State.SETTLED,
        "settled_at__gt": (found.opening.taken_at - reconcile.GRACE).isoformat(),
        "settled_at__lte": (found.closing.taken_at - reconcile.GRACE).isoformat(),
        **filters,
    }
    return f"{reverse('admin:billing_spend_changelist')}?{urlencode(query)}"


def _suggest_reason(found: Reconciliation) -> str:
    """Suggest why credits are missing: failed videos that were charged, if that could be all of it."""
    if not found.free.count or found.unexplained < -found.free.estimated:
        return _("See below when it appeared, and record a correction once you know why.")
    return ngettext(
        "%(n)d failed video was counted as free; charged, it would have cost %(estimated)s. "
        "Does the provider charge for failed videos (CHARGED_WHEN_FAILED)?",
        "%(n)d failed videos were counted as free; charged, they would have cost %(estimated)s. "
        "Does the provider charge for failed videos (CHARGED_WHEN_FAILED)?",
        found.free.count,
    ) % {"n": found.free.count, "estimated": format_amount(found.free.estimated)}


def _describe_open_videos(found: Reconciliation) -> str:
    if not found.open.count:
        return ""
    return ngettext(
        "%(n)d video is not settled yet: up to %(most)s credits may have been charged for it.",
        "%(n)d videos are not settled yet: up to %(most)s credits may have been charged for them.",
        found.open.count,
    ) % {"n": found.open.count, "most": format_amount(-found.in_flight_least)}


def _format_time(at: datetime) -> str:
    return f"{at.astimezone(site_zone()):%Y-%m-%d %H:%M}"

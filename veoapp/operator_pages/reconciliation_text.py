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
from billing.reconciliation.job_sums import Jobs
from billing.reconciliation.reconcile import Reconciliation


@dataclass(frozen=True)
class BalanceLine:
    """A line of the balance. `tone` colours the amount, `url` is a link to the rows that it sums."""

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


def describe_result(reconciliation: Reconciliation, *, is_measuring: bool = False) -> Result:
    """Describe the result. `is_measuring` says whether a top-up is still being measured and not yet recorded."""
    if reconciliation.has_missing_credits:
        title = _("%(n)s credits are missing that no video explains.") % {
            "n": format_amount(-reconciliation.unexplained)
        }
        return Result("bad", title, _suggest_reason(reconciliation))
    if is_measuring:
        text = _("They are being measured and will be recorded in a moment.")
        return Result("info", _("Credits were added."), text)
    if not reconciliation.is_explained:
        title = _("There are %(n)s credits more than our books explain.") % {
            "n": format_amount(reconciliation.unexplained)
        }
        text = _("Videos may have cost less than our price list says, or the provider returned credits.")
        return Result("warn", title, text)
    return Result("good", _("Everything explained."), _describe_open_videos(reconciliation))


def list_balance_lines(reconciliation: Reconciliation) -> list[BalanceLine]:
    """Return the lines from the first balance to the last, which is the sum of all lines before it."""
    lines = [
        BalanceLine(
            _("Balance at the beginning"),
            format_amount(reconciliation.opening.balance),
            _format_time(reconciliation.opening.taken_at),
            is_total=True,
        ),
        BalanceLine(_("Top-ups"), format_signed(reconciliation.top_ups)),
        BalanceLine(_("Returned by the provider"), format_signed(reconciliation.returned)),
        BalanceLine(
            _("Videos whose cost is known"),
            format_signed(-reconciliation.settled.actual),
            ngettext("%(n)d video", "%(n)d videos", reconciliation.settled.count) % {"n": reconciliation.settled.count},
            url=spends_url(reconciliation),
        ),
    ]
    if reconciliation.in_flight or reconciliation.in_flight_min or reconciliation.in_flight_max:
        note = _("between %(least)s and %(most)s; %(n)d in progress at the last reading") % {
            "n": reconciliation.open.count,
            "least": format_signed(reconciliation.in_flight_min),
            "most": format_signed(reconciliation.in_flight_max),
        }
        lines.append(BalanceLine(_("Videos in progress"), format_signed(reconciliation.in_flight), note))
    lines.append(BalanceLine(_("Corrections by operators"), format_signed(reconciliation.corrections)))
    tone = "good" if reconciliation.is_explained else "bad" if reconciliation.has_missing_credits else "warn"
    lines.append(BalanceLine(_("Not explained"), format_signed(reconciliation.unexplained), tone=tone))
    lines.append(
        BalanceLine(
            _("Balance at the end"),
            format_amount(reconciliation.closing.balance),
            _format_time(reconciliation.closing.taken_at),
            is_total=True,
        )
    )
    return lines


def build_spend_row(label: str | Promise, jobs: Jobs, url: str = "") -> dict[str, Any]:
    """Return a row of the table of our own spend: number of videos, estimate, actual cost and their difference."""
    return {
        "label": label,
        "count": jobs.count,
        "estimated": format_amount(jobs.estimated),
        "actual": format_amount(jobs.actual),
        "difference": format_signed(jobs.actual - jobs.estimated),
        "url": url,
    }


def spends_url(reconciliation: Reconciliation, **filters: str) -> str:
    """Return the address of the spends that were settled in the period and match the filters."""
    query: dict[str, str | int] = {
        "account__id__exact": reconciliation.account.pk,
        "state__exact": Spend.State.SETTLED,
        "settled_at__gt": (reconciliation.opening.taken_at - reconcile.GRACE).isoformat(),
        "settled_at__lte": (reconciliation.closing.taken_at - reconcile.GRACE).isoformat(),
        **filters,
    }
    return f"{reverse('admin:billing_spend_changelist')}?{urlencode(query)}"


def _suggest_reason(reconciliation: Reconciliation) -> str:
    """Suggest why credits are missing: failed videos that were charged, if their cost could explain the whole amount."""
    if not reconciliation.free.count or reconciliation.unexplained < -reconciliation.free.estimated:
        return _("See below when it appeared, and record a correction once you know why.")
    return ngettext(
        "%(n)d failed video was counted as free; charged, it would have cost %(estimated)s. "
        "Does the provider charge for failed videos (CHARGED_WHEN_FAILED)?",
        "%(n)d failed videos were counted as free; charged, they would have cost %(estimated)s. "
        "Does the provider charge for failed videos (CHARGED_WHEN_FAILED)?",
        reconciliation.free.count,
    ) % {"n": reconciliation.free.count, "estimated": format_amount(reconciliation.free.estimated)}


def _describe_open_videos(reconciliation: Reconciliation) -> str:
    if not reconciliation.open.count:
        return ""
    return ngettext(
        "%(n)d video is not settled yet: up to %(most)s credits may have been charged for it.",
        "%(n)d videos are not settled yet: up to %(most)s credits may have been charged for them.",
        reconciliation.open.count,
    ) % {"n": reconciliation.open.count, "most": format_amount(-reconciliation.in_flight_min)}


def _format_time(at: datetime) -> str:
    return f"{at.astimezone(site_zone()):%Y-%m-%d %H:%M}"

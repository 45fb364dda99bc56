"""The texts of the daily summary: one section for each question on the operators' checklist, with a short answer."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.seams import clock
from billing.common.formatting import format_amount, format_signed
from billing.models import Alert
from billing.reports import forecasts
from billing.reports.daily_summary import Balance, Cost, CreditTrend, Summary
from videos.notifications.daily_failures import Failures

GOOD, WARN, BAD = "good", "warn", "bad"
# If the balance lasts fewer days than this, the summary warns, even if the balance is above the low threshold.
FEW_DAYS = 3
# A difference below this percentage of the estimate is not a warning.
SMALL_PERCENT = 1


@dataclass(frozen=True)
class Line:
    """A figure with its name and a note, for example the figure that it is compared with."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Section:
    """One question: its title, a short answer, the answer's tone (GOOD, WARN or BAD), and the figures behind it."""

    title: str
    answer: str
    tone: str
    lines: list[Line] = field(default_factory=list)


def build_sections(summary: Summary, failures: Failures) -> list[Section]:
    """All sections, in the active language and time zone."""
    return [
        _balance_section(summary.balance),
        _cost_section(summary.cost),
        _unusual_section(summary),
        _credits_section(summary.credits),
        _refunds_section(failures),
        _alerts_section(summary),
        _books_section(summary),
    ]


def format_headline(sections: list[Section]) -> str:
    """The answers of the worst two sections, or that everything is in order."""
    for tone in (BAD, WARN):
        sentences = [
            _("%(name)s: %(value)s") % {"name": section.title, "value": section.answer}
            for section in sections
            if section.tone == tone
        ]
        if sentences:
            return " · ".join(sentences[:2])
    return _("Everything is in order · %(balance)s") % {"balance": sections[0].answer}


def _balance_section(balance: Balance | None) -> Section:
    title = _("Balance")
    if balance is None:
        return Section(title, _("no provider key"), BAD)
    read_at = (
        _("read at %(time)s") % {"time": _format_time(balance.balance_at)} if balance.balance_at else _("never read")
    )
    lines = [
        Line(_("Balance at the provider"), format_amount(balance.balance), read_at),
        Line(_("Reserved for videos in progress"), format_amount(balance.promised)),
        Line(_("Daily average of the last seven days"), _format_rounded(balance.usual)),
    ]
    if balance.ends_at is None:
        long_term = _("more than %(n)d days left") % {"n": forecasts.HORIZON.days}
        answer = long_term if balance.is_being_spent and balance.balance is not None else _("nothing is being spent")
        return Section(title, answer, WARN if balance.is_low else GOOD, lines)
    days = max(balance.ends_at - clock.now(), timedelta()) // timedelta(days=1)
    lines.append(Line(_("Runs out around"), formats.date_format(timezone.localtime(balance.ends_at), "DATE_FORMAT")))
    answer = ngettext("%(n)d day left", "%(n)d days left", days) % {"n": days}
    if balance.balance is not None and balance.balance <= settings.CRITICAL_BALANCE_THRESHOLD:
        return Section(title, answer, BAD, lines)
    return Section(title, answer, WARN if balance.is_low or days < FEW_DAYS else GOOD, lines)


def _cost_section(cost: Cost) -> Section:
    title = _("Estimate against actual")
    settled_text = ngettext("%(n)d video", "%(n)d videos", cost.settled) % {"n": cost.settled}
    open_text = ngettext("%(n)d still open", "%(n)d still open", cost.still_open) % {"n": cost.still_open}
    percent = cost.variance_percent
    percent_text = "" if percent is None else f"{format_signed(percent.quantize(Decimal('0.1')))} %"
    lines = [
        Line(
            _("Estimated"),
            format_amount(cost.estimated),
            ngettext("%(n)d video", "%(n)d videos", cost.ordered) % {"n": cost.ordered},
        ),
        Line(
            _("Settled cost"),
            format_amount(cost.actual),
            f"{settled_text} · {open_text}" if cost.still_open else settled_text,
        ),
        Line(_("Their estimate"), format_amount(cost.settled_estimate)),
        Line(_("Difference"), format_signed(cost.variance), percent_text),
    ]
    if not cost.variance:
        return Section(title, _("as estimated"), GOOD, lines)
    answer = _("%(credits)s provider credits more") if cost.variance > 0 else _("%(credits)s provider credits less")
    is_small = percent is not None and abs(percent) < SMALL_PERCENT
    return Section(title, answer % {"credits": format_amount(abs(cost.variance))}, GOOD if is_small else WARN, lines)


def _unusual_section(summary: Summary) -> Section:
    title, cost = _("Unusual spend"), summary.cost
    lines = [
        Line(
            _("The day"),
            format_amount(cost.estimated - cost.settled_estimate + cost.actual),
            _("usual: %(credits)s") % {"credits": _format_rounded(cost.usual)},
        )
    ]
    if cost.top_user is not None:
        lines.append(
            Line(_("Largest orders by (estimated)"), format_amount(cost.top_user_estimate), cost.top_user.email)
        )
    lines += [_alert_line(alert) for alert in summary.unusual]
    if summary.unusual or cost.is_unusual:
        return Section(title, _("needs a look"), WARN, lines)
    return Section(title, _("none"), GOOD, lines)


def _credits_section(trends: list[CreditTrend]) -> Section:
    day_before = _("day before: %(credits)s")
    *movements, held_credits = trends
    lines = [
        Line(trend.name, format_signed(trend.day), day_before % {"credits": format_signed(trend.before)})
        for trend in movements
    ]
    lines.append(
        Line(
            held_credits.name,
            _format_count(held_credits.day),
            day_before % {"credits": _format_count(held_credits.before)},
        )
    )
    return Section(
        _("Users’ credits"), _("%(change)s held") % {"change": format_signed(held_credits.change)}, GOOD, lines
    )


def _refunds_section(failures: Failures) -> Section:
    title = _("Refunds for failed videos")
    lines = [
        Line(_("Failed"), _format_count(failures.failed)),
        Line(_("Cancelled"), _format_count(failures.cancelled)),
        Line(_("Refunded"), _format_count(failures.refunded)),
    ]
    lines += [Line(_("Not refunded"), str(task.pk)) for task in failures.unrefunded]
    if failures.missing_refunds:
        answer = ngettext("%(n)d is missing", "%(n)d are missing", failures.missing_refunds) % {
            "n": failures.missing_refunds
        }
        return Section(title, answer, BAD, lines)
    return Section(title, _("all refunded") if failures.total else _("none needed"), GOOD, lines)


def _alerts_section(summary: Summary) -> Section:
    count = len(summary.open_alerts) + summary.more_alerts
    lines = [_alert_line(alert) for alert in summary.open_alerts]
    if summary.more_alerts:
        lines.append(Line(_("and others"), _format_count(summary.more_alerts)))
    if summary.snoozed_alerts:
        lines.append(Line(_("Snoozed"), _format_count(summary.snoozed_alerts)))
    if not count:
        return Section(_("Open alerts"), _("none"), GOOD, lines)
    # The list begins with the critical alerts, so a critical one is left out only if all shown are critical.
    if critical := sum(alert.severity == Alert.Severity.CRITICAL for alert in summary.open_alerts):
        answer = _("%(n)s, %(critical)s of them critical") % {
            "n": _format_count(count),
            "critical": _format_count(critical),
        }
        return Section(_("Open alerts"), answer, BAD, lines)
    return Section(_("Open alerts"), _format_count(count), WARN, lines)


def _books_section(summary: Summary) -> Section:
    title, run = _("Books"), summary.books
    if run is None:
        return Section(title, _("not checked yet"), WARN)
    lines = [Line(_("Last check"), _format_time(run.at))]
    if run.problems:
        answer = ngettext("%(n)d problem", "%(n)d problems", run.problems) % {"n": run.problems}
        return Section(title, answer, BAD, lines)
    return Section(title, _("they balance"), GOOD, lines)


def _alert_line(alert: Alert) -> Line:
    times = ngettext("%(n)s time", "%(n)s times", alert.count) % {"n": _format_count(alert.count)}
    return Line(alert.get_kind_display(), alert.get_severity_display(), times if alert.count > 1 else "")


def _format_time(at: object) -> str:
    return formats.date_format(timezone.localtime(at), "DATETIME_FORMAT")  # type: ignore[arg-type]


def _format_count(number: int) -> str:
    return formats.number_format(number, force_grouping=True)


def _format_rounded(amount: Decimal) -> str:
    """An average, rounded to a tenth."""
    return format_amount(amount.quantize(Decimal("0.1")))

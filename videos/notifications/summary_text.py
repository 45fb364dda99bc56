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
# Fewer days than this are a warning, whatever the threshold says.
FEW_DAYS = 3
# A difference below this share of the estimate is no warning.
SMALL_PERCENT = 1


@dataclass(frozen=True)
class Line:
    """A name, its figure, and a note such as what it is compared with."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Section:
    """One question: its title, a short answer with its tone, and the figures behind it."""

    title: str
    answer: str
    tone: str
    lines: list[Line] = field(default_factory=list)


def build_sections(summary: Summary, failures: Failures) -> list[Section]:
    """All sections, in the active language and time zone."""
    return [
        _balance(summary.balance),
        _cost(summary.cost),
        _unusual(summary),
        _credits(summary.credits),
        _refunds(failures),
        _alerts(summary),
        _books(summary),
    ]


def headline(sections: list[Section]) -> str:
    """The worst answers, or that everything is fine."""
    for tone in (BAD, WARN):
        worst = [
            _("%(name)s: %(value)s") % {"name": section.title, "value": section.answer}
            for section in sections
            if section.tone == tone
        ]
        if worst:
            return " · ".join(worst[:2])
    return _("Everything is in order · %(balance)s") % {"balance": sections[0].answer}


def _balance(balance: Balance | None) -> Section:
    title = _("Balance")
    if balance is None:
        return Section(title, _("no provider key"), BAD)
    read_at = _("read at %(time)s") % {"time": _time(balance.balance_at)} if balance.balance_at else _("never read")
    lines = [
        Line(_("Balance at the provider"), format_amount(balance.balance), read_at),
        Line(_("Reserved for videos in progress"), format_amount(balance.promised)),
        Line(_("Daily average of the last seven days"), _rounded(balance.usual)),
    ]
    if balance.ends_at is None:
        far = _("more than %(n)d days left") % {"n": forecasts.HORIZON.days}
        answer = far if balance.is_being_spent and balance.balance is not None else _("nothing is being spent")
        return Section(title, answer, WARN if balance.is_low else GOOD, lines)
    days = max(balance.ends_at - clock.now(), timedelta()) // timedelta(days=1)
    lines.append(Line(_("Runs out around"), formats.date_format(timezone.localtime(balance.ends_at), "DATE_FORMAT")))
    answer = ngettext("%(n)d day left", "%(n)d days left", days) % {"n": days}
    if balance.balance is not None and balance.balance <= settings.CRITICAL_BALANCE_THRESHOLD:
        return Section(title, answer, BAD, lines)
    return Section(title, answer, WARN if balance.is_low or days < FEW_DAYS else GOOD, lines)


def _cost(cost: Cost) -> Section:
    title = _("Estimate against actual")
    settled = ngettext("%(n)d video", "%(n)d videos", cost.settled) % {"n": cost.settled}
    still = ngettext("%(n)d still open", "%(n)d still open", cost.still_open) % {"n": cost.still_open}
    percent = cost.variance_percent
    share = "" if percent is None else f"{format_signed(percent.quantize(Decimal('0.1')))} %"
    lines = [
        Line(
            _("Estimated"),
            format_amount(cost.estimated),
            ngettext("%(n)d video", "%(n)d videos", cost.ordered) % {"n": cost.ordered},
        ),
        Line(_("Settled cost"), format_amount(cost.actual), f"{settled} · {still}" if cost.still_open else settled),
        Line(_("Their estimate"), format_amount(cost.settled_estimate)),
        Line(_("Difference"), format_signed(cost.variance), share),
    ]
    if not cost.variance:
        return Section(title, _("as estimated"), GOOD, lines)
    answer = _("%(credits)s provider credits more") if cost.variance > 0 else _("%(credits)s provider credits less")
    is_small = percent is not None and abs(percent) < SMALL_PERCENT
    return Section(title, answer % {"credits": format_amount(abs(cost.variance))}, GOOD if is_small else WARN, lines)


def _unusual(summary: Summary) -> Section:
    title, cost = _("Unusual spend"), summary.cost
    lines = [
        Line(
            _("The day"),
            format_amount(cost.estimated - cost.settled_estimate + cost.actual),
            _("usual: %(credits)s") % {"credits": _rounded(cost.usual)},
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


def _credits(trends: list[CreditTrend]) -> Section:
    before = _("day before: %(credits)s")
    *movements, held = trends
    lines = [
        Line(trend.name, format_signed(trend.day), before % {"credits": format_signed(trend.before)})
        for trend in movements
    ]
    lines.append(Line(held.name, _count(held.day), before % {"credits": _count(held.before)}))
    return Section(_("Users’ credits"), _("%(change)s held") % {"change": format_signed(held.change)}, GOOD, lines)


def _refunds(failures: Failures) -> Section:
    title = _("Refunds for failed videos")
    lines = [
        Line(_("Failed"), _count(failures.failed)),
        Line(_("Cancelled"), _count(failures.cancelled)),
        Line(_("Refunded"), _count(failures.refunded)),
    ]
    lines += [Line(_("Not refunded"), str(task.pk)) for task in failures.unrefunded]
    if failures.missing:
        answer = ngettext("%(n)d is missing", "%(n)d are missing", failures.missing) % {"n": failures.missing}
        return Section(title, answer, BAD, lines)
    return Section(title, _("all refunded") if failures.ended else _("none needed"), GOOD, lines)


def _alerts(summary: Summary) -> Section:
    count = len(summary.open_alerts) + summary.more_alerts
    lines = [_alert_line(alert) for alert in summary.open_alerts]
    if summary.more_alerts:
        lines.append(Line(_("and others"), _count(summary.more_alerts)))
    if summary.snoozed_alerts:
        lines.append(Line(_("Snoozed"), _count(summary.snoozed_alerts)))
    if not count:
        return Section(_("Open alerts"), _("none"), GOOD, lines)
    # Critical alerts come first, so that none is left out unless all shown are critical.
    if critical := sum(alert.severity == Alert.Severity.CRITICAL for alert in summary.open_alerts):
        answer = _("%(n)s, %(critical)s of them critical") % {"n": _count(count), "critical": _count(critical)}
        return Section(_("Open alerts"), answer, BAD, lines)
    return Section(_("Open alerts"), _count(count), WARN, lines)


def _books(summary: Summary) -> Section:
    title, run = _("Books"), summary.books
    if run is None:
        return Section(title, _("not checked yet"), WARN)
    lines = [Line(_("Last check"), _time(run.at))]
    if run.problems:
        answer = ngettext("%(n)d problem", "%(n)d problems", run.problems) % {"n": run.problems}
        return Section(title, answer, BAD, lines)
    return Section(title, _("they balance"), GOOD, lines)


def _alert_line(alert: Alert) -> Line:
    times = ngettext("%(n)s time", "%(n)s times", alert.count) % {"n": _count(alert.count)}
    return Line(alert.get_kind_display(), alert.get_severity_display(), times if alert.count > 1 else "")


def _time(at: object) -> str:
    return formats.date_format(timezone.localtime(at), "DATETIME_FORMAT")  # type: ignore[arg-type]


def _count(number: int) -> str:
    return formats.number_format(number, force_grouping=True)


def _rounded(amount: Decimal) -> str:
    """An average, rounded to a tenth."""
    return format_amount(amount.quantize(Decimal("0.1")))

"""What the template shows: the board's figures drawn, in words, and linked to the videos behind them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.alerts import messages as alert_messages
from billing.alerts import runbook
from billing.budgets.limits import ALL
from billing.budgets.state import State
from billing.common.formatting import format_amount
from billing.common.periods import site_zone
from billing.models import Alert, Measure, Period
from billing.reports import charts, figures, forecasts
from billing.reports.balance import Point
from billing.reports.figures import Counted
from billing.reports.ranges import DATES, NAMES, Range
from veoapp.operator_pages.dashboard import rights, verdict
from veoapp.operator_pages.dashboard.now import ALERTS_SHOWN, Board
from veoapp.operator_pages.dashboard.verdict import House
from videos.models import VideoTask
from videos.ordering import catalogue
from videos.presentation.timeline import FAILURES

Status = VideoTask.Status

FAILURES_SHOWN = 8
LIMITS_SHOWN = 12

TONES = {Alert.Severity.INFO: "info", Alert.Severity.WARNING: "warn", Alert.Severity.CRITICAL: "bad"}
WAYS: dict[str, Promise] = {
    "callback": gettext_lazy("By callback"),
    "poll": gettext_lazy("By our asking"),
    "repair": gettext_lazy("Found by repair"),
}
PERIODS: dict[Period, Promise] = {
    Period.HOUR: gettext_lazy("This hour"),
    Period.DAY: gettext_lazy("Today"),
    Period.MONTH: gettext_lazy("This month"),
}
TITLES: dict[Period, Promise] = {
    Period.HOUR: gettext_lazy("Estimate and actual by hour"),
    Period.DAY: gettext_lazy("Estimate and actual by day"),
    Period.MONTH: gettext_lazy("Estimate and actual by month"),
}
EXPORTS: dict[str, Promise] = {
    "timeline": gettext_lazy("Estimate and actual"),
    "models": gettext_lazy("By model"),
    "users": gettext_lazy("By user"),
    "balance": gettext_lazy("Provider balance"),
    "limits": gettext_lazy("Budgets"),
    "failures": gettext_lazy("Reasons of failure"),
    "callbacks": gettext_lazy("How results reach us"),
    "queue": gettext_lazy("On the way"),
    "alerts": gettext_lazy("Alerts"),
}


@dataclass(frozen=True)
class AlertRow:
    """One open alert, what it concerns and tells, what to do about it, and where."""

    alert: Alert
    about: str
    told: str
    tone: str
    todo: str | Promise
    page: str
    own_page: str


@dataclass(frozen=True)
class LimitRow:
    """One budget: a bar with its word, and when it ends at this pace or starts anew."""

    name: str
    state: State
    tone: str
    share: float
    ends: str
    anew: str
    url: str

    @property
    def plain_share(self) -> str:
        """For an attribute: never with the reader's comma."""
        return f"{min(self.share, 1.0):.3f}"


@dataclass(frozen=True)
class Linked:
    """A count in words, with the videos behind it."""

    words: str | Promise
    row: Counted
    url: str = ""

    @property
    def width(self) -> str:
        """Of a bar that is a hundred wide."""
        return f"{self.row.share * 100:.1f}"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was proved when the books were last looked at: what nobody explains, refunds and files.

    What is due is of the range, what is wrong of all time: a count is never taken off the other.
    """

    unexplained: str
    tone: str
    looked_at: datetime | None
    refunds_due: int
    refunds_wrong: int
    files_due: int
    files_wrong: int


def context(board: Board) -> dict[str, Any]:
    """Everything by the names that the template uses."""
    wanted, reading, house = board.asked.range, board.reading, board.house
    everything = reading.all
    low, critical = settings.LOW_BALANCE_THRESHOLD, settings.CRITICAL_BALANCE_THRESHOLD
    stretch: dict[str, Any] = {
        "since": wanted.since,
        "until": wanted.until,
        "low": low,
        "critical": critical,
        "ahead": _ahead(board),
    }
    bars = [charts.bars(wanted.windows, reading.windows, width=width) for width in (charts.WIDE, charts.NARROW)]
    is_empty = not everything[Measure.ORDERED]
    return {
        "title": _("Cost"),
        "board": board,
        "range": wanted,
        "ranges": [(key, name, key == wanted.key and not board.asked.problems) for key, name in NAMES.items()],
        "dates": _dates(board),
        "is_dates": wanted.key == DATES or bool(board.asked.problems),
        "example": wanted.days[1].isoformat(),
        "tables": board.tables,
        "sees_money": board.tables >= rights.MONEY,
        "exports": [(name, title) for name, title in EXPORTS.items() if name in board.tables],
        "zone": str(site_zone()),
        "verdict": verdict.on(house),
        "all": everything,
        "videos": int(everything[Measure.ORDERED]),
        "margin": figures.margin_of(everything),
        "proof": proof_of(board),
        "is_empty": is_empty,
        "is_new": is_empty and not board.now.has_videos,
        "times": figures.times(reading.labelled(Measure.GENERATION)),
        "waits": figures.times(reading.labelled(Measure.WAIT)),
        "timeline_title": TITLES[wanted.bars],
        "bars": bars,
        "timeline": [
            (bar, tasks_url(one.starts_at, one.ends_at)) for bar, one in zip(bars[0].bars, wanted.windows, strict=True)
        ],
        "balances": [_written(point) for point in reversed(board.curve.points)],
        "top_ups": [_written(point) for point in board.curve.top_ups],
        "curves": [charts.balances(board.curve, width=width, **stretch) for width in (charts.WIDE, charts.NARROW)],
        "spark": charts.balances(board.curve, width=charts.NARROW, height=72, **stretch),
        "limits": limit_rows(house),
        "alerts": [_alert(alert) for alert in board.alerts[:ALERTS_SHOWN]],
        "more_alerts": len(board.alerts) > ALERTS_SHOWN,
        "models": [
            (catalogue.model_title(row.model), row, tasks_of(wanted, model=row.model))
            for row in figures.model_rows(reading)
        ],
        "users": [(row, tasks_of(wanted, person=row.user_id)) for row in board.users],
        "failures": failure_rows(board)[:FAILURES_SHOWN],
        "callbacks": [
            Linked(WAYS.get(row.label, row.label), row)
            for row in figures.counted(reading.labelled(Measure.VERDICT), order=figures.WAYS)
        ],
        "tasks_url": tasks_of(wanted),
        "failed_url": tasks_of(wanted, status__exact=Status.FAILED),
        "low": low,
        "critical": critical,
    }


def tasks_url(since: datetime, until: datetime, **filters: object) -> str:
    """The list of videos ordered in a stretch of time, narrowed down."""
    stretch = {"created_at__gte": since.isoformat(" "), "created_at__lt": until.isoformat(" ")}
    return f"{reverse('admin:videos_videotask_changelist')}?{urlencode(stretch | filters)}"


def tasks_of(wanted: Range, **filters: object) -> str:
    return tasks_url(wanted.since, wanted.until, **filters)


def failure_rows(board: Board) -> list[Linked]:
    """Reasons in plain words, the most frequent first."""
    return [
        Linked(
            FAILURES[row.label].why if row.label in FAILURES else row.label or _("No reason was given."),
            row,
            tasks_of(board.asked.range, failure=row.label) if row.label else "",
        )
        for row in figures.counted(board.reading.labelled(Measure.FAILURE))
    ]


def limit_rows(house: House) -> list[LimitRow]:
    """Everything's hour, day and month, then what is nearest to its limit."""
    everything = [state for state in house.states if state.scope == ALL]
    others = [state for state in house.states if state.scope != ALL and state.limit is not None]
    others.sort(key=_share, reverse=True)
    return [_limit(state, house) for state in (*everything, *others[: LIMITS_SHOWN - len(everything)])]


def proof_of(board: Board) -> Proof:
    """Each video that ended without a film must be refunded, each that is ready must be on disk."""
    sums, books, account = board.reading.all, board.now.books, board.account
    unexplained = account.unexplained if account else None
    tone = ""
    if unexplained is not None and abs(unexplained) > settings.UNEXPLAINED_TOLERANCE:
        tone = "bad" if unexplained < 0 else "warn"  # credits that came are nobody's loss
    return Proof(
        unexplained=format_amount(unexplained)
        if unexplained is None or unexplained >= 0
        else f"−{format_amount(-unexplained)}",
        tone=tone,
        looked_at=books.at if books else None,
        refunds_due=int(sums[Measure.FAILED] + sums[Measure.CANCELLED]),
        refunds_wrong=books.count_of("I3") if books else 0,
        files_due=int(sums[Measure.READY]),
        files_wrong=books.count_of("I7") if books else 0,
    )


def _ahead(board: Board) -> list[Point]:
    """Where the curve goes from its last reading, when the range reaches past now."""
    if not board.curve.points or board.asked.range.until <= board.at:
        return []
    last = board.curve.points[-1].balance
    found = forecasts.ahead(last, board.house.pace, at=board.at, until=board.asked.range.until)
    return [Point(then, amount) for then, amount in found]


def _written(point: Point) -> tuple[str, str]:
    """A row of the curve's table, on the site's clock."""
    return f"{point.at.astimezone(site_zone()):%Y-%m-%d %H:%M}", format_amount(point.balance)


def _dates(board: Board) -> list[tuple[str, str, str, str]]:
    """The two fields: name, label, what was typed (else the range's own days), what is wrong."""
    first, last = board.asked.range.days
    typed, problems = board.asked.typed, board.asked.problems
    own = {"from": first.isoformat(), "to": last.isoformat()}
    return [
        (name, str(label), typed[name] or ("" if problems else own[name]), problems.get(name, ""))
        for name, label in (("from", _("From")), ("to", _("To, included")))
    ]


def _alert(alert: Alert) -> AlertRow:
    # Of the provider's account the sentence at the top speaks already.
    is_of_account = "provider account" in f"{alert.cause} {alert.reference}"
    return AlertRow(
        alert=alert,
        about="" if is_of_account else runbook.describe_subject(alert),
        told="" if is_of_account else alert_messages.format_message(alert).sentences,
        tone=TONES[Alert.Severity(alert.severity)],
        todo=runbook.runbook_entry(alert).todo,
        page=runbook.action_path(alert),
        own_page=runbook.alert_path(alert),
    )


def _limit(state: State, house: House) -> LimitRow:
    end = verdict.end_of(state, house.pace, at=house.at) if state.scope == ALL and not state.is_spent else None
    kind, _colon, name = state.scope.partition(":")
    whose = {"user": _("User %(id)s") % {"id": name}, "model": catalogue.model_title(name)}.get(kind)
    period = str(PERIODS[state.period])
    return LimitRow(
        name=f"{whose} · {period}" if whose else period,
        state=state,
        tone="bad" if state.is_spent else "warn" if state.is_soft else "good",
        share=_share(state),
        ends=forecasts.moment(end, at=house.at) if end else "",
        anew=forecasts.moment(state.window.ends_at, at=house.at),
        url=verdict.budgets_url(),
    )


def _share(state: State) -> float:
    """How much of the limit is used; a limit of zero is used up."""
    if state.limit is None:
        return 0.0
    return float(state.used / state.limit) if state.limit else 1.0

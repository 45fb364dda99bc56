"""The dashboard's rows as the template shows them: alerts, budgets, counts and audit figures, with links to the videos."""

from dataclasses import dataclass
from datetime import datetime
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
from billing.common.formatting import format_amount, format_signed
from billing.models import Alert, Measure, Period
from billing.reports import breakdowns, forecasts
from billing.reports.breakdowns import LabelRow
from billing.reports.date_ranges import DateRange
from veoapp.operator_pages.dashboard import actions, outlook
from veoapp.operator_pages.dashboard.headline import StatusFacts
from veoapp.operator_pages.dashboard.snapshot import DashboardData
from videos.ordering import catalogue
from videos.presentation.timeline import FAILURES

BUDGETS_SHOWN = 12

TONES = {Alert.Severity.INFO: "info", Alert.Severity.WARNING: "warn", Alert.Severity.CRITICAL: "bad"}
RESULT_SOURCE_NAMES: dict[str, Promise] = {
    "callback": gettext_lazy("By callback"),
    "poll": gettext_lazy("By polling"),
    "repair": gettext_lazy("Found by the nightly repair"),
}
PERIOD_NAMES: dict[Period, Promise] = {
    Period.HOUR: gettext_lazy("This hour"),
    Period.DAY: gettext_lazy("Today"),
    Period.MONTH: gettext_lazy("This month"),
}


@dataclass(frozen=True)
class AlertRow:
    """One open alert.

    `about` is its subject, `todo` what the operator should do, `page` where to do it, and `own_page` the alert's page.
    """

    alert: Alert
    about: str
    message: str
    tone: str
    todo: str | Promise
    page: str
    own_page: str


@dataclass(frozen=True)
class BudgetRow:
    """One budget: the used share of its limit, when it runs out at this pace (`ends`), and when it starts again."""

    name: str
    state: State
    tone: str
    share: float
    ends: str
    resets: str
    url: str

    @property
    def meter_value(self) -> str:
        """The share, at most 1, for an HTML attribute. It has a decimal point in every language."""
        return f"{min(self.share, 1.0):.3f}"


@dataclass(frozen=True)
class LinkedCount:
    """A count with its label and a link to the videos that it counts."""

    label: str | Promise
    row: LabelRow
    url: str = ""

    @property
    def width(self) -> str:
        """The width of the bar in the chart, in percent."""
        return f"{self.row.share * 100:.1f}"


@dataclass(frozen=True, kw_only=True)
class AuditFigures:
    """What the last check of the books (`billing.audit`) found about unexplained credits, refunds and files.

    `*_due` counts what the date range requires, `*_wrong` the problems of all time, so the two are never subtracted.
    """

    unexplained: str
    tone: str
    checked_at: datetime | None
    refunds_due: int
    refunds_wrong: int
    files_due: int
    files_wrong: int


def list_videos_url(since: datetime, until: datetime, **filters: object) -> str:
    """Return the address of the list of videos that were ordered in a period and match the filters."""
    period = {"created_at__gte": since.isoformat(" "), "created_at__lt": until.isoformat(" ")}
    return f"{reverse('admin:videos_videotask_changelist')}?{urlencode(period | filters)}"


def range_videos_url(date_range: DateRange, **filters: object) -> str:
    return list_videos_url(date_range.since, date_range.until, **filters)


def build_alert_row(alert: Alert) -> AlertRow:
    # The headline already describes the state of the provider account.
    is_of_account = "provider account" in f"{alert.cause} {alert.reference}"
    return AlertRow(
        alert=alert,
        about="" if is_of_account else runbook.describe_subject(alert),
        message="" if is_of_account else alert_messages.format_message(alert).sentences,
        tone=TONES[Alert.Severity(alert.severity)],
        todo=runbook.runbook_entry(alert).operator_action,
        page=runbook.action_path(alert),
        own_page=runbook.alert_path(alert),
    )


def build_budget_rows(facts: StatusFacts) -> list[BudgetRow]:
    """Return the budgets of the whole site by hour, day and month, then the others, the most used first."""
    site_budgets = [budget for budget in facts.budgets if budget.scope == ALL]
    others = [budget for budget in facts.budgets if budget.scope != ALL and budget.limit is not None]
    others.sort(key=_used_share, reverse=True)
    shown = (*site_budgets, *others[: BUDGETS_SHOWN - len(site_budgets)])
    return [_build_budget_row(budget, facts) for budget in shown]


def build_failure_rows(data: DashboardData) -> list[LinkedCount]:
    """Return the reasons of failure as texts for users, the most frequent first."""
    return [
        LinkedCount(
            FAILURES[row.label].reason if row.label in FAILURES else row.label or _("No reason was given."),
            row,
            range_videos_url(data.range_query.range, failure=row.label) if row.label else "",
        )
        for row in breakdowns.build_label_rows(data.totals.count_labels(Measure.FAILURE))
    ]


def build_result_rows(data: DashboardData) -> list[LinkedCount]:
    """Return how the provider's results arrived."""
    counts = data.totals.count_labels(Measure.VERDICT)
    return [
        LinkedCount(RESULT_SOURCE_NAMES.get(row.label, row.label), row)
        for row in breakdowns.build_label_rows(counts, order=breakdowns.RESULT_SOURCES)
    ]


def build_audit_figures(data: DashboardData) -> AuditFigures:
    """Build the figures. Each failed or cancelled video must be refunded, and each ready video must have its file."""
    sums, books, account = data.totals.all, data.live.books, data.account
    unexplained = account.unexplained if account else None
    tone = ""
    if unexplained is not None and abs(unexplained) > settings.UNEXPLAINED_TOLERANCE:
        # Extra credits are no loss, so only missing ones are alarming.
        tone = "bad" if unexplained < 0 else "warn"
    return AuditFigures(
        unexplained=format_signed(unexplained) if unexplained and unexplained < 0 else format_amount(unexplained),
        tone=tone,
        checked_at=books.at if books else None,
        refunds_due=int(sums[Measure.FAILED] + sums[Measure.CANCELLED]),
        refunds_wrong=books.count_of("I3") if books else 0,  # the rule about refunds in `billing.audit`
        files_due=int(sums[Measure.READY]),
        files_wrong=books.count_of("I7") if books else 0,  # the rule about stored files
    )


def _build_budget_row(budget: State, facts: StatusFacts) -> BudgetRow:
    # The speed of spending is known only for all users together, so only budgets of the whole site have a forecast.
    has_forecast = budget.scope == ALL and not budget.is_spent
    end = outlook.estimate_budget_end(budget, facts.pace, at=facts.at) if has_forecast else None
    kind, _colon, name = budget.scope.partition(":")
    subject = {"user": _("User %(id)s") % {"id": name}, "model": catalogue.model_title(name)}.get(kind)
    period = str(PERIOD_NAMES[budget.period])
    return BudgetRow(
        name=f"{subject} · {period}" if subject else period,
        state=budget,
        tone="bad" if budget.is_spent else "warn" if budget.is_soft else "good",
        share=_used_share(budget),
        ends=forecasts.format_forecast(end, at=facts.at) if end else "",
        resets=forecasts.format_forecast(budget.window.ends_at, at=facts.at),
        url=actions.budgets_url(),
    )


def _used_share(budget: State) -> float:
    """Return the used share of the limit; a limit of zero counts as used up."""
    if budget.limit is None:
        return 0.0
    return float(budget.used / budget.limit) if budget.limit else 1.0

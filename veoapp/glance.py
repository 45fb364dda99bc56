"""The operators' first page: are we generating, what did today cost, what is on the way, what needs a person."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Q, Sum
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.doors import clock
from billing import guard, provider_accounts
from billing.models import Alert, ProviderAccount, Spend
from videos.costs import amount
from videos.models import Doorbell, VideoTask
from videos.presentation import STATES

Status = VideoTask.Status

ALERTS_SHOWN = 6
# The supervisor sends a canary every 30 s and restarts the cluster when none came back for 120 s.
CANARY_FRESH_FOR = timedelta(seconds=120)

TONES = {Alert.Severity.INFO: "info", Alert.Severity.WARNING: "warn", Alert.Severity.CRITICAL: "bad"}

PARKED: dict[str, Promise] = {
    ProviderAccount.Parked.OUT_OF_CREDITS: gettext_lazy("The provider says that our account has no credits left."),
    ProviderAccount.Parked.ACCESS_DENIED: gettext_lazy("The provider refuses our key or address."),
}


@dataclass(frozen=True)
class LiveRow:
    """How many videos are in one state, and where they are listed."""

    word: str | Promise
    tone: str
    count: int
    url: str


@dataclass(frozen=True)
class AlertRow:
    """One open alert and what it is about."""

    tone: str
    severity: str
    words: str
    url: str
    last_at: datetime
    count: int


@dataclass(frozen=True)
class Verdict:
    """Whether new videos are being made: a tone (good, warn, bad), the word, and why."""

    tone: str
    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Glance:
    """Today in figures. Amounts are provider credits, ready to be shown; the day is the UTC day."""

    tone: str
    title: str
    text: str
    account_url: str
    works: bool
    balance: str
    balance_at: datetime | None
    low: str
    critical: str
    ordered: int
    ready: int
    failed: int
    estimated: str
    actual: str
    open: int
    live: list[LiveRow]
    alerts: list[AlertRow]
    more_alerts: int


def now() -> Glance:
    """The figures as the rows have them at this moment."""
    at = clock.now()
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        account: ProviderAccount | None = provider_accounts.current()
    except provider_accounts.NoProviderKey:
        account = None
    works = Doorbell.objects.filter(name="canary", answered_at__gt=at - CANARY_FRESH_FOR).exists()
    verdict = verdict_on(account, at, works=works)
    ended = VideoTask.objects.filter(created_at__gte=day).aggregate(
        ready=Count("pk", filter=Q(status=Status.READY)),
        failed=Count("pk", filter=Q(status__in=[Status.FAILED, Status.CANCELLED])),
    )
    spent = Spend.objects.filter(created_at__gte=day).aggregate(
        ordered=Count("pk"),
        estimated=Sum("estimated"),
        actual=Sum("actual"),
        open=Count("pk", filter=~Q(state=Spend.State.SETTLED)),
    )
    open_alerts = Alert.objects.filter(resolved_at=None, acknowledged_at=None)
    return Glance(
        tone=verdict.tone,
        title=verdict.title,
        text=verdict.text,
        account_url=_page("billing_provideraccount", "change", account.pk) if account else "",
        works=works,
        balance=amount(account.balance if account else None),
        balance_at=account.balance_at if account else None,
        low=amount(settings.LOW_BALANCE_THRESHOLD),
        critical=amount(settings.CRITICAL_BALANCE_THRESHOLD),
        ordered=spent["ordered"],
        ready=ended["ready"],
        failed=ended["failed"],
        estimated=amount(spent["estimated"] or Decimal(0)),
        actual=amount(spent["actual"] or Decimal(0)),
        open=spent["open"],
        live=_live(),
        alerts=[_alert(alert) for alert in open_alerts.order_by("-last_at")[:ALERTS_SHOWN]],
        more_alerts=max(0, open_alerts.count() - ALERTS_SHOWN),
    )


def verdict_on(account: ProviderAccount | None, at: datetime, *, works: bool) -> Verdict:
    """Why new videos are being made or not, the strongest reason first."""
    if account is None:
        return Verdict(
            "bad", _("Not generating."), _("There is no provider key: set KIE_AI_API_KEY or add an account here.")
        )
    if account.paused_at is not None:
        return Verdict("warn", _("Paused by an operator."), account.pause_reason)
    if account.parked_as:
        return Verdict("bad", _("Not generating."), str(PARKED[account.parked_as]))
    if guard.is_critical(account):
        return Verdict("bad", _("Not generating."), _("The provider balance is at or below the critical threshold."))
    if not works:
        return Verdict("bad", _("Not generating."), _("No worker answers: start one with “manage.py worker”."))
    if account.breaker_until is not None and account.breaker_until > at:
        return Verdict("warn", _("Waiting for the provider."), _("It has trouble; we try again by ourselves."))
    if account.balance is None:
        return Verdict("warn", _("About to generate."), _("The provider balance was not read yet."))
    if account.balance <= settings.LOW_BALANCE_THRESHOLD:
        return Verdict("warn", _("Generating."), _("The provider balance is low: top it up soon."))
    return Verdict("good", _("Generating normally."), "")


def _live() -> list[LiveRow]:
    counted = VideoTask.objects.filter(status__in=VideoTask.LIVE).values_list("status").annotate(count=Count("pk"))
    counts = dict(counted.order_by())
    listed = reverse("admin:videos_videotask_changelist")
    return [
        LiveRow(STATES[status].word, STATES[status].tone, counts.get(status, 0), f"{listed}?status__exact={status}")
        for status in VideoTask.LIVE
    ]


def _alert(alert: Alert) -> AlertRow:
    url = _page("billing_alert", "change", alert.pk)
    app, _colon, key = alert.reference.partition(":")
    if app == "video" and key:
        url = _page("videos_videotask", "change", UUID(key))
    return AlertRow(
        tone=TONES[Alert.Severity(alert.severity)],
        severity=alert.get_severity_display(),
        words=alert.get_kind_display(),
        url=url,
        last_at=alert.last_at,
        count=alert.count,
    )


def _page(table: str, kind: str, key: object) -> str:
    """An operators' page; nothing when its table has none."""
    try:
        return reverse(f"admin:{table}_{kind}", args=[key])
    except NoReverseMatch:
        return ""

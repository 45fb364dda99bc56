"""Collects the figures of the daily summary e-mail to operators, about one day in the site's time zone."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Q, Sum
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.seams import clock
from billing.alerts import services as alerts
from billing.common.periods import Window, day_window, site_zone
from billing.costs import rollups
from billing.models import (
    Alert,
    BooksRun,
    CreditAccount,
    LedgerEntry,
    Measure,
    Period,
    ProviderAccount,
)
from billing.provider import accounts as provider_accounts
from billing.reports import current_costs, forecasts

Kind = Alert.Kind
ZERO = Decimal(0)

# The usual cost of a day is the mean of at most this many days before it.
USUAL_DAYS = 7
# A day that cost more than this multiple of the usual cost is reported as unusual.
UNUSUAL_FACTOR = 2
ALERTS_SHOWN = 8
UNUSUAL_KINDS = (Kind.UNUSUAL_SPEND, Kind.FAILURE_RATE, Kind.USER_BURST, Kind.UNEXPLAINED_SPEND)


@dataclass(frozen=True, kw_only=True)
class Balance:
    """The provider balance; amounts are provider credits.

    `ends_at` is when new videos stop, by the same forecast as on the dashboard. It is None beyond the forecast's horizon,
    when nothing is being spent, or when no balance is known. `promised` credits are reserved for jobs that
    were sent and whose cost is not known yet. `usual` is the mean cost of a day.
    """

    account: str
    balance: Decimal | None
    balance_at: datetime | None
    promised: Decimal
    usual: Decimal
    is_being_spent: bool
    ends_at: datetime | None
    is_low: bool


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of the day's orders in provider credits."""

    ordered: int
    settled: int
    estimated: Decimal
    settled_estimate: Decimal
    actual: Decimal
    usual: Decimal
    is_unusual: bool
    top_user: User | None
    top_user_estimate: Decimal

    @property
    def variance(self) -> Decimal:
        """Actual cost minus estimate of settled jobs."""
        return self.actual - self.settled_estimate

    @property
    def still_open(self) -> int:
        return self.ordered - self.settled

    @property
    def variance_percent(self) -> Decimal | None:
        return 100 * self.variance / self.settled_estimate if self.settled_estimate else None


@dataclass(frozen=True)
class CreditTrend:
    """A number of user credits on the day and on the day before.

    It is the sum of one kind of ledger entries, or the balance of all users at the end of the day.
    """

    name: str
    day: int
    before: int

    @property
    def change(self) -> int:
        return self.day - self.before


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The figures from billing for the e-mail about `day`."""

    day: date
    balance: Balance | None
    cost: Cost
    credits: list[CreditTrend]
    unusual: list[Alert]
    open_alerts: list[Alert]
    more_alerts: int
    snoozed_alerts: int
    books: BooksRun | None


def build_summary(day: date) -> Summary:
    """Read the figures of one day as they are now."""
    at = clock.now()
    daily = _read_daily_sums(day)
    open_alerts = Alert.objects.filter(alerts.waiting_condition(at))
    sorted_alerts = sorted(
        open_alerts.order_by("-last_at")[:200], key=lambda alert: _SEVERITY_ORDER[Alert.Severity(alert.severity)]
    )
    window = day_window(day)
    unusual = Alert.objects.filter(
        kind__in=UNUSUAL_KINDS, first_at__lt=window.ends_at, last_at__gte=window.starts_at
    ).order_by("first_at")
    return Summary(
        day=day,
        balance=_read_balance(_mean_cost(daily, until=day + timedelta(days=1))),
        cost=_read_cost(day, daily),
        credits=_read_credit_trends(day),
        unusual=list(unusual),
        open_alerts=sorted_alerts[:ALERTS_SHOWN],
        more_alerts=max(0, open_alerts.count() - ALERTS_SHOWN),
        snoozed_alerts=Alert.objects.filter(alerts.snoozed_condition(at)).count(),
        books=BooksRun.objects.order_by("-at").first(),
    )


_SEVERITY_ORDER = {Alert.Severity.CRITICAL: 0, Alert.Severity.WARNING: 1, Alert.Severity.INFO: 2}

DailySums = dict[date, dict[str, Decimal]]


def _read_daily_sums(day: date) -> DailySums:
    """Read sums by day and measure, of the day and of the USUAL_DAYS before it."""
    since = day_window(day - timedelta(days=USUAL_DAYS)).starts_at
    measures = (Measure.ORDERED, Measure.ESTIMATED, Measure.SETTLED, Measure.SETTLED_ESTIMATE, Measure.ACTUAL)
    sums: DailySums = defaultdict(lambda: defaultdict(Decimal))
    for row in rollups.read_totals(Period.DAY, since=since, until=day_window(day).ends_at, measures=measures):
        sums[row.starts_at.astimezone(site_zone()).date()][row.measure] += row.amount
    return sums


def _mean_cost(daily: DailySums, *, until: date) -> Decimal:
    """Return the mean cost of a day in the USUAL_DAYS before `until`. Days before the first order of that time do not count.

    Open jobs count with their estimates.
    """
    days = [day for day in daily if until - timedelta(days=USUAL_DAYS) <= day < until]
    if not days:
        return ZERO
    return sum((_day_cost(daily[day]) for day in days), ZERO) / (until - min(days)).days


def _day_cost(sums: dict[str, Decimal]) -> Decimal:
    return sums[Measure.ACTUAL] + sums[Measure.ESTIMATED] - sums[Measure.SETTLED_ESTIMATE]


def _read_balance(usual: Decimal) -> Balance | None:
    try:
        account: ProviderAccount = provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        return None
    at = clock.database_now()
    pace = forecasts.measure_pace(current_costs.read(at).hours, at=at)
    available = provider_accounts.get_available_balance(account)
    return Balance(
        account=account.label,
        balance=account.balance,
        balance_at=account.balance_at,
        promised=provider_accounts.sum_promised(account.pk),
        usual=usual,
        is_being_spent=pace.day > 0,
        ends_at=(
            None
            if available is None
            else forecasts.estimate_end(available - settings.CRITICAL_BALANCE_THRESHOLD, pace, at=at)
        ),
        is_low=account.balance is not None and account.balance <= settings.LOW_BALANCE_THRESHOLD,
    )


def _read_cost(day: date, daily: DailySums) -> Cost:
    sums, usual = daily[day], _mean_cost(daily, until=day)
    window = day_window(day)
    top = rollups.rank_users(Period.DAY, since=window.starts_at, until=window.ends_at, by=Measure.ESTIMATED, limit=1)
    return Cost(
        ordered=int(sums[Measure.ORDERED]),
        settled=int(sums[Measure.SETTLED]),
        estimated=sums[Measure.ESTIMATED],
        settled_estimate=sums[Measure.SETTLED_ESTIMATE],
        actual=sums[Measure.ACTUAL],
        usual=usual,
        is_unusual=usual > 0 and _day_cost(sums) > UNUSUAL_FACTOR * usual,
        top_user=User.objects.filter(pk=top[0].user_id).first() if top else None,
        top_user_estimate=top[0].amounts[Measure.ESTIMATED] if top else ZERO,
    )


def _read_credit_trends(day: date) -> list[CreditTrend]:
    """Read the changes of the day and of the day before; an entry belongs to the day on which it was written."""
    today, before = day_window(day), day_window(day - timedelta(days=1))
    names = {kind: str(label) for kind, label in LedgerEntry.Kind.choices}
    moved = {
        row["kind"]: (row["day"] or 0, row["before"] or 0)
        for row in LedgerEntry.objects.filter(created_at__gte=before.starts_at, created_at__lt=today.ends_at)
        .order_by()
        .values("kind")
        .annotate(day=Sum("amount", filter=_within(today)), before=Sum("amount", filter=_within(before)))
    }
    trends = [CreditTrend(name, *moved[kind]) for kind, name in names.items() if kind in moved]
    total = CreditTrend(_("Held by all users"), _read_total_balance(today.ends_at), _read_total_balance(before.ends_at))
    return [*trends, total]


def _within(window: Window) -> Q:
    return Q(created_at__gte=window.starts_at, created_at__lt=window.ends_at)


def _read_total_balance(at: datetime) -> int:
    """Return the credits of all users at that time: their current credits minus all changes since."""
    current = CreditAccount.objects.aggregate(sum=Sum("balance"))["sum"] or 0
    changes = LedgerEntry.objects.filter(created_at__gte=at).aggregate(sum=Sum("amount"))["sum"] or 0
    return int(current - changes)

"""The figures of the operators' morning mail about one day of the site, and which mail went to whom."""

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

# What is usual: the days before, at most so many.
USUAL_DAYS = 7
# A day that cost so many times the usual is called unusual.
UNUSUAL_TIMES = 2
ALERTS_SHOWN = 8
UNUSUAL_KINDS = (Kind.UNUSUAL_SPEND, Kind.FAILURE_RATE, Kind.USER_BURST, Kind.UNEXPLAINED_SPEND)


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Provider credits. `ends_at`: when new videos wait for it, by the forecast of the first page; None when that is beyond
    its horizon, nothing is being spent or nothing is known.
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
    """What the day's orders cost, in provider credits. `variance` is actual less estimate, of what is settled."""

    ordered: int
    settled: int
    estimated: Decimal
    settled_estimate: Decimal
    actual: Decimal
    usual: Decimal
    is_unusual: bool
    most: User | None
    most_estimated: Decimal

    @property
    def variance(self) -> Decimal:
        return self.actual - self.settled_estimate

    @property
    def still_open(self) -> int:
        return self.ordered - self.settled

    @property
    def variance_percent(self) -> Decimal | None:
        return 100 * self.variance / self.settled_estimate if self.settled_estimate else None


@dataclass(frozen=True)
class Trend:
    """User credits that moved on the day and on the day before, and what all people hold at the end of each."""

    name: str
    day: int
    before: int

    @property
    def change(self) -> int:
        return self.day - self.before


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Everything of billing's that the mail says about `day`."""

    day: date
    balance: Balance | None
    cost: Cost
    credits: list[Trend]
    unusual: list[Alert]
    open_alerts: list[Alert]
    more_alerts: int
    put_aside: int
    books: BooksRun | None


def of(day: date) -> Summary:
    """The figures of one day of the site, as the rows have them now."""
    at = clock.now()
    daily = _daily(day)
    waiting = Alert.objects.filter(alerts.waiting_condition(at))
    shown = sorted(waiting.order_by("-last_at")[:200], key=lambda alert: _RANK[Alert.Severity(alert.severity)])
    window = day_window(day)
    unusual = Alert.objects.filter(
        kind__in=UNUSUAL_KINDS, first_at__lt=window.ends_at, last_at__gte=window.starts_at
    ).order_by("first_at")
    return Summary(
        day=day,
        balance=_balance(_usual(daily, until=day + timedelta(days=1))),
        cost=_cost(day, daily),
        credits=_credits(day),
        unusual=list(unusual),
        open_alerts=shown[:ALERTS_SHOWN],
        more_alerts=max(0, waiting.count() - ALERTS_SHOWN),
        put_aside=Alert.objects.filter(alerts.snoozed_condition(at)).count(),
        books=BooksRun.objects.order_by("-at").first(),
    )


_RANK = {Alert.Severity.CRITICAL: 0, Alert.Severity.WARNING: 1, Alert.Severity.INFO: 2}

Daily = dict[date, dict[str, Decimal]]


def _daily(day: date) -> Daily:
    """Sums by day and measure, of the day and of those that say what is usual."""
    since = day_window(day - timedelta(days=USUAL_DAYS)).starts_at
    measures = (Measure.ORDERED, Measure.ESTIMATED, Measure.SETTLED, Measure.SETTLED_ESTIMATE, Measure.ACTUAL)
    sums: Daily = defaultdict(lambda: defaultdict(Decimal))
    for row in rollups.read_totals(Period.DAY, since=since, until=day_window(day).ends_at, measures=measures):
        sums[row.starts_at.astimezone(site_zone()).date()][row.measure] += row.amount
    return sums


def _usual(daily: Daily, *, until: date) -> Decimal:
    """What a day cost on average in the USUAL_DAYS before `until`; a young site counts from its first order on.

    What is not settled yet counts as estimated.
    """
    days = [day for day in daily if until - timedelta(days=USUAL_DAYS) <= day < until]
    if not days:
        return ZERO
    return sum((_day_cost(daily[day]) for day in days), ZERO) / (until - min(days)).days


def _day_cost(sums: dict[str, Decimal]) -> Decimal:
    return sums[Measure.ACTUAL] + sums[Measure.ESTIMATED] - sums[Measure.SETTLED_ESTIMATE]


def _balance(usual: Decimal) -> Balance | None:
    try:
        account: ProviderAccount = provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        return None
    at = clock.database_now()
    pace = forecasts.pace(current_costs.read(at).hours, at=at)
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
            else forecasts.ends_at(available - settings.CRITICAL_BALANCE_THRESHOLD, pace, at=at)
        ),
        is_low=account.balance is not None and account.balance <= settings.LOW_BALANCE_THRESHOLD,
    )


def _cost(day: date, daily: Daily) -> Cost:
    sums, usual = daily[day], _usual(daily, until=day)
    window = day_window(day)
    first = rollups.rank_users(Period.DAY, since=window.starts_at, until=window.ends_at, by=Measure.ESTIMATED, most=1)
    return Cost(
        ordered=int(sums[Measure.ORDERED]),
        settled=int(sums[Measure.SETTLED]),
        estimated=sums[Measure.ESTIMATED],
        settled_estimate=sums[Measure.SETTLED_ESTIMATE],
        actual=sums[Measure.ACTUAL],
        usual=usual,
        is_unusual=usual > 0 and _day_cost(sums) > UNUSUAL_TIMES * usual,
        most=User.objects.filter(pk=first[0].user_id).first() if first else None,
        most_estimated=first[0].amounts[Measure.ESTIMATED] if first else ZERO,
    )


def _credits(day: date) -> list[Trend]:
    """Both days from the ledger, by when each movement was written."""
    today, before = day_window(day), day_window(day - timedelta(days=1))
    names = {kind: str(label) for kind, label in LedgerEntry.Kind.choices}
    moved = {
        row["kind"]: (row["day"] or 0, row["before"] or 0)
        for row in LedgerEntry.objects.filter(created_at__gte=before.starts_at, created_at__lt=today.ends_at)
        .order_by()
        .values("kind")
        .annotate(day=Sum("amount", filter=_within(today)), before=Sum("amount", filter=_within(before)))
    }
    found = [Trend(name, *moved[kind]) for kind, name in names.items() if kind in moved]
    return [*found, Trend(_("Held by all users"), _held(today.ends_at), _held(before.ends_at))]


def _within(window: Window) -> Q:
    return Q(created_at__gte=window.starts_at, created_at__lt=window.ends_at)


def _held(at: datetime) -> int:
    """What all people held at that moment: what they hold now, less what moved since."""
    now = CreditAccount.objects.aggregate(sum=Sum("balance"))["sum"] or 0
    since = LedgerEntry.objects.filter(created_at__gte=at).aggregate(sum=Sum("amount"))["sum"] or 0
    return int(now - since)

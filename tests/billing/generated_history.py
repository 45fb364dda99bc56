"""Generates realistic totals: a daily rhythm, three models, many users, failures, top-ups. It creates no tasks."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import pi, sin

from accounts.models import User
from billing.common.periods import window_at, windows_between
from billing.costs import rollups
from billing.costs.histogram import duration_bucket
from billing.models import BalanceSnapshot, BudgetWindow, Measure, Period, ProviderAccount, ProviderEntry, TallyMark
from billing.provider import accounts as provider_accounts

# Model, price, usual duration in seconds, share of the orders.
MODELS = (("veo3_fast", 60, 62, 0.72), ("veo3_lite", 30, 50, 0.2), ("veo3", 250, 140, 0.08))
REASONS = ("content_policy", "content_policy", "prominent_person", "generation", "timed_out", "unsafe_image")
SOURCES = ("callback",) * 19 + ("poll",)


def generate(
    *, at: datetime, days: int, users: list[User], a_day: int = 120, balance: int = 12_000, seed: int = 7
) -> ProviderAccount:
    """Generate the `days` days before `at`, with about `a_day` videos each; the last jobs are not settled yet."""
    rng = random.Random(seed)
    account = provider_accounts.get_current_account()
    balance_left = Decimal(balance)
    marks: list[TallyMark] = []
    for hour in windows_between(Period.HOUR, at - timedelta(days=days), at):
        local = hour.local_start
        rhythm = max(0.05, sin((local.hour - 5) / 24 * 2 * pi) + 0.45) * (0.45 if local.weekday() >= 5 else 1)
        share = min((at - hour.starts_at).total_seconds() / 3600, 1.0)
        count = round(a_day / 14 * rhythm * rng.uniform(0.6, 1.4) * share)
        spent = Decimal(0)
        for _ in range(count):
            spent += _add_job(marks, hour.starts_at, rng, users, is_open=at - hour.starts_at < timedelta(minutes=20))
        if balance_left - spent < 900:
            balance_left += 10_000
            ProviderEntry.objects.create(
                account=account,
                kind=ProviderEntry.Kind.TOP_UP,
                amount=10_000,
                reason="The balance rose",
                idempotency_key=f"top-up:{hour.starts_at.isoformat()}",
                happened_at=min(hour.starts_at + timedelta(minutes=50), at),
            )
        balance_left -= spent
        taken_at = min(hour.starts_at + timedelta(minutes=50), at)
        BalanceSnapshot.objects.create(
            account=account, balance=balance_left, promised=60 if count else 0, taken_at=taken_at
        )
    TallyMark.objects.bulk_create(marks, batch_size=2000)
    rollups.fold_marks()
    ProviderAccount.objects.filter(pk=account.pk).update(
        balance=balance_left, balance_at=at, unexplained=Decimal(0), unexplained_at=at - timedelta(minutes=2)
    )
    _create_budget_windows(at)
    account.refresh_from_db()
    return account


def _add_job(
    marks: list[TallyMark], hour: datetime, rng: random.Random, users: list[User], *, is_open: bool
) -> Decimal:
    """Append the marks of a job; returns its actual cost, which is 0 while the job is open or if it failed."""
    weights = [model[3] for model in MODELS]
    model, price, usual_s, _share = rng.choices(MODELS, weights)[0]
    user = users[min(int(rng.expovariate(0.35)), len(users) - 1)]
    counts: list[tuple[str, str, Decimal]] = [
        (Measure.ORDERED, "", Decimal(1)),
        (Measure.ESTIMATED, "", Decimal(price)),
        (Measure.CHARGED, "", Decimal(round(price * 1.18))),
        (Measure.WAIT, duration_bucket(rng.expovariate(1 / 9)), Decimal(1)),
    ]
    actual = Decimal(price)
    if is_open:
        actual = Decimal(0)
    elif rng.random() < 0.06:
        actual = Decimal(0)
        counts += [(Measure.FAILED, "", Decimal(1)), (Measure.FAILURE, rng.choice(REASONS), Decimal(1))]
        counts += [(Measure.REFUNDED, "", Decimal(round(price * 1.18)))]
    else:
        actual -= Decimal("7.5") if rng.random() < 0.05 else 0
        counts += [(Measure.READY, "", Decimal(1))]
        counts += [(Measure.GENERATION, duration_bucket(usual_s * rng.lognormvariate(0, 0.35)), Decimal(1))]
    if not is_open:
        counts += [(Measure.SETTLED, "", Decimal(1)), (Measure.SETTLED_ESTIMATE, "", Decimal(price))]
        counts += [(Measure.ACTUAL, "", actual), (Measure.VERDICT, rng.choice(SOURCES), Decimal(1))]
    marks += [
        TallyMark(hour=hour, model=model, user_id=user.pk, measure=measure, label=label, amount=amount)
        for measure, label, amount in counts
        if amount
    ]
    return actual


def _create_budget_windows(at: datetime) -> None:
    """Create the current windows with what was ordered in them."""
    for period in Period:
        window = window_at(period, at)
        rows = rollups.read_totals(period, since=window.starts_at, until=window.ends_at, measures=[Measure.ESTIMATED])
        for scope in ("all", *{f"model:{row.model}" for row in rows}):
            used = sum((row.amount for row in rows if scope in ("all", f"model:{row.model}")), Decimal(0))
            BudgetWindow.objects.update_or_create(
                scope=scope,
                period=period,
                starts_at=window.starts_at,
                defaults={"ends_at": window.ends_at, "used": used},
            )


def afternoon(day: datetime) -> datetime:
    """16:20 UTC on this day."""
    return day.astimezone(UTC).replace(hour=16, minute=20, second=0, microsecond=0)

"""A believable past in counts alone: hours with a rhythm, three models, many users, failures, top-ups. No task is made."""

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

MODELS = (("veo3_fast", 60, 62, 0.72), ("veo3_lite", 30, 50, 0.2), ("veo3", 250, 140, 0.08))
REASONS = ("content_policy", "content_policy", "prominent_person", "generation", "timed_out", "unsafe_image")
WAYS = ("callback",) * 19 + ("poll",)


def make(
    *, at: datetime, days: int, users: list[User], a_day: int = 120, balance: int = 12_000, seed: int = 7
) -> ProviderAccount:
    """So many days until `at`, with about so many videos in each; the last hours are not settled yet."""
    chance = random.Random(seed)
    account = provider_accounts.get_current_account()
    left = Decimal(balance)
    marks: list[TallyMark] = []
    for hour in windows_between(Period.HOUR, at - timedelta(days=days), at):
        local = hour.local_start
        rhythm = max(0.05, sin((local.hour - 5) / 24 * 2 * pi) + 0.45) * (0.45 if local.weekday() >= 5 else 1)
        share = min((at - hour.starts_at).total_seconds() / 3600, 1.0)
        count = round(a_day / 14 * rhythm * chance.uniform(0.6, 1.4) * share)
        spent = Decimal(0)
        for _ in range(count):
            spent += _job(marks, hour.starts_at, chance, users, open_one=at - hour.starts_at < timedelta(minutes=20))
        if left - spent < 900:
            left += 10_000
            ProviderEntry.objects.create(
                account=account,
                kind=ProviderEntry.Kind.TOP_UP,
                amount=10_000,
                reason="The balance rose",
                idempotency_key=f"top-up:{hour.starts_at.isoformat()}",
                happened_at=min(hour.starts_at + timedelta(minutes=50), at),
            )
        left -= spent
        taken = min(hour.starts_at + timedelta(minutes=50), at)
        BalanceSnapshot.objects.create(account=account, balance=left, promised=60 if count else 0, taken_at=taken)
    TallyMark.objects.bulk_create(marks, batch_size=2000)
    rollups.fold_marks()
    ProviderAccount.objects.filter(pk=account.pk).update(
        balance=left, balance_at=at, unexplained=Decimal(0), unexplained_at=at - timedelta(minutes=2)
    )
    _count_budgets(at)
    account.refresh_from_db()
    return account


def _job(
    marks: list[TallyMark], hour: datetime, chance: random.Random, users: list[User], *, open_one: bool
) -> Decimal:
    weights = [model[3] for model in MODELS]
    model, price, usual_s, _share = chance.choices(MODELS, weights)[0]
    user = users[min(int(chance.expovariate(0.35)), len(users) - 1)]
    counts: list[tuple[str, str, Decimal]] = [
        (Measure.ORDERED, "", Decimal(1)),
        (Measure.ESTIMATED, "", Decimal(price)),
        (Measure.CHARGED, "", Decimal(round(price * 1.18))),
        (Measure.WAIT, duration_bucket(chance.expovariate(1 / 9)), Decimal(1)),
    ]
    actual = Decimal(price)
    if open_one:
        actual = Decimal(0)
    elif chance.random() < 0.06:
        actual = Decimal(0)
        counts += [(Measure.FAILED, "", Decimal(1)), (Measure.FAILURE, chance.choice(REASONS), Decimal(1))]
        counts += [(Measure.REFUNDED, "", Decimal(round(price * 1.18)))]
    else:
        actual -= Decimal("7.5") if chance.random() < 0.05 else 0
        counts += [(Measure.READY, "", Decimal(1))]
        counts += [(Measure.GENERATION, duration_bucket(usual_s * chance.lognormvariate(0, 0.35)), Decimal(1))]
    if not open_one:
        counts += [(Measure.SETTLED, "", Decimal(1)), (Measure.SETTLED_ESTIMATE, "", Decimal(price))]
        counts += [(Measure.ACTUAL, "", actual), (Measure.VERDICT, chance.choice(WAYS), Decimal(1))]
    marks += [
        TallyMark(hour=hour, model=model, user_id=user.pk, measure=measure, label=label, amount=amount)
        for measure, label, amount in counts
        if amount
    ]
    return actual


def _count_budgets(at: datetime) -> None:
    for period in Period:
        one = window_at(period, at)
        rows = rollups.read_totals(period, since=one.starts_at, until=one.ends_at, measures=[Measure.ESTIMATED])
        for scope in ("all", *{f"model:{row.model}" for row in rows}):
            used = sum((row.amount for row in rows if scope in ("all", f"model:{row.model}")), Decimal(0))
            BudgetWindow.objects.update_or_create(
                scope=scope, period=period, starts_at=one.starts_at, defaults={"ends_at": one.ends_at, "used": used}
            )


def afternoon(day: datetime) -> datetime:
    """A working day at 16:20 UTC."""
    return day.astimezone(UTC).replace(hour=16, minute=20, second=0, microsecond=0)

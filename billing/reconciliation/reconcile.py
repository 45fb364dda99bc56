"""Compares the provider's balance with our books: what it should be, what it is, and the difference.

`top_ups` records top-ups automatically. Operators explain every other difference with a correcting entry and a reason,
never by an edit. Amounts are provider credits; debits are negative. A *jump* is an unexplained change of the balance
between two readings (see `balance_track`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import models, transaction
from django.db.models import Sum

from accounts.models import User
from accounts.seams import clock
from billing.alerts import services as alerts
from billing.common.formatting import format_plain
from billing.models import BalanceSnapshot, ProviderAccount, ProviderEntry, Spend
from billing.provider import accounts as provider_accounts
from billing.reconciliation.balance_track import Job, Jump, Movement, Reading, Track, follow_balance
from billing.reconciliation.job_sums import Group, GroupSums, Jobs

Kind = ProviderEntry.Kind
Basis = Spend.Basis
ZERO = Decimal(0)

# The provider may charge a job a little after it reports the result, and readings take time to arrive.
GRACE = timedelta(minutes=2)
# The opening reading may be this much earlier than requested, to find one with few credits reserved for open jobs.
OPENING_SEARCH_PERIOD = timedelta(hours=2)
# Unexplained differences of this period raise an alert.
WATCHED_PERIOD = timedelta(days=30)
# Up to this many jobs, the search runs within the request, where it takes less than a second.
SHORT_HISTORY_JOBS = 20_000
REASON_LENGTH = 500
# Rows in memory at a time.
CHUNK_SIZE = 5000


class KeyReused(Exception):
    """The idempotency key belongs to another correction."""


@dataclass(frozen=True, kw_only=True)
class Reconciliation:
    """The comparison of an account with our books between two readings of its balance.

    Debits are negative, except in `Jobs`. The difference is explained if it is within UNEXPLAINED_TOLERANCE.
    """

    account: ProviderAccount
    opening: BalanceSnapshot
    closing: BalanceSnapshot
    top_ups: Decimal
    returned: Decimal  # by the provider, for failed videos
    corrections: Decimal
    settled: Jobs
    open: Jobs
    free: Jobs  # the settled jobs that failed and are assumed to have cost nothing
    by_model: dict[str, Jobs]  # settled jobs only
    by_basis: dict[str, Jobs]
    track: Track

    @property
    def in_flight(self) -> Decimal:
        """The cost between the readings, inferred from the balance, of jobs still open at the opening or closing reading."""
        return -self.track.in_flight

    @property
    def in_flight_min(self) -> Decimal:
        """The lowest possible value of `in_flight`: every job open at the closing reading was charged."""
        return -self.track.open_now

    @property
    def in_flight_max(self) -> Decimal:
        """The highest possible value of `in_flight`: jobs open at the opening reading had been charged before it."""
        return self.track.open_before

    @property
    def unexplained(self) -> Decimal:
        """The difference that neither jobs nor entries explain: negative when credits are missing."""
        return self.track.unexplained - self.corrections

    @property
    def is_explained(self) -> bool:
        return abs(self.unexplained) <= settings.UNEXPLAINED_TOLERANCE

    @property
    def has_missing_credits(self) -> bool:
        return self.unexplained < -settings.UNEXPLAINED_TOLERANCE

    @property
    def jumps(self) -> tuple[Jump, ...]:
        return self.track.jumps

    @property
    def largest_jump(self) -> Jump | None:
        """The largest jump with the sign of the difference."""
        same_sign = [jump for jump in self.jumps if jump.amount * self.unexplained > 0]
        return max(same_sign, key=lambda jump: abs(jump.amount), default=None)

    @property
    def correction_time(self) -> datetime:
        """The time to give a correcting entry, so that it counts in every period that shows the difference."""
        return self.largest_jump.after.at if self.largest_jump else self.closing.taken_at


def reconcile(*, account: ProviderAccount, since: datetime, until: datetime) -> Reconciliation | None:
    """Compare the balance with our books from a reading before `since` to the last reading up to `until`.

    Returns None if there are fewer than two readings.
    """
    opening, closing = _find_opening(account, since), _snapshots(account).filter(taken_at__lte=until).last()
    if opening is None or closing is None or closing.taken_at <= opening.taken_at:
        return None
    rows = _RowsBetween(account, opening, closing)
    track, jobs = rows.track_balance()
    entries = rows.sum_entries()
    return Reconciliation(
        account=account,
        opening=opening,
        closing=closing,
        top_ups=entries[Kind.TOP_UP],
        returned=entries[Kind.RETURNED],
        corrections=entries[Kind.CORRECTION],
        settled=jobs.sum_where(lambda group: group.is_known),
        open=jobs.sum_where(lambda group: not group.is_known),
        free=jobs.sum_where(lambda group: group.is_known and group.is_free and group.basis == Basis.ASSUMED),
        by_model=jobs.sum_known_by("model"),
        by_basis=jobs.sum_known_by("basis"),
        track=track,
    )


def entries_between(*, account: ProviderAccount, after: datetime, until: datetime) -> models.QuerySet[ProviderEntry]:
    """The provider entries after `after` and up to `until`, newest first."""
    return ProviderEntry.objects.filter(account=account, happened_at__gt=after, happened_at__lte=until)


def record_correction(
    *,
    account_id: int,
    amount: Decimal,
    reason: str,
    actor: User,
    idempotency_key: str,
    happened_at: datetime,
    snapshot_id: int | None = None,
) -> ProviderEntry:
    """Explain a difference with an entry: its amount (negative when credits are missing) and the reason.

    A repeated call with the same key returns the first entry. Raises ValueError without an amount or a
    reason, and KeyReused when the key belongs to another amount.
    """
    if not amount or not reason.strip():
        raise ValueError("a correction needs an amount and a reason")
    with transaction.atomic():
        provider_accounts.lock_account(account_id)
        entry, created = ProviderEntry.objects.get_or_create(
            idempotency_key=f"correction:{idempotency_key}",
            defaults={
                "account_id": account_id,
                "kind": Kind.CORRECTION,
                "amount": amount,
                "reason": reason.strip()[:REASON_LENGTH],
                "actor": actor,
                "snapshot_id": snapshot_id,
                "happened_at": happened_at,
            },
        )
    if not created and (entry.account_id, entry.amount) != (account_id, amount):
        raise KeyReused
    account = ProviderAccount.objects.get(pk=account_id)
    # A long history is searched in the background: the new entry makes `unexplained.update_if_changed` search it again.
    if created and has_short_history(account):
        update_unexplained(account)
    return entry


def has_short_history(account: ProviderAccount) -> bool:
    """Whether the watched period has at most SHORT_HISTORY_JOBS settled jobs."""
    since = clock.database_now() - WATCHED_PERIOD
    jobs = Spend.objects.filter(account=account, state=Spend.State.SETTLED, settled_at__gt=since)
    return jobs[: SHORT_HISTORY_JOBS + 1].count() <= SHORT_HISTORY_JOBS


def update_unexplained(account: ProviderAccount) -> Reconciliation | None:
    """Store the unexplained amount of the watched period; raise or resolve the alert about missing credits."""
    at = clock.database_now()
    result = reconcile(account=account, since=at - WATCHED_PERIOD, until=at)
    # The dashboard shows the stored amount and reads no history.
    account.unexplained, account.unexplained_at = result.unexplained if result else None, at
    account.save(update_fields=["unexplained", "unexplained_at"])
    if result is not None and result.has_missing_credits:
        largest = result.largest_jump
        facts: dict[str, object] = {"gone": format_plain(-result.unexplained)}  # `gone`: the missing credits
        if largest is not None:
            times = {"since_at": largest.before.at.isoformat(), "until_at": largest.after.at.isoformat()}
            facts |= {"say": ["unexplained_worst"], **times}
        alerts.raise_alert(alerts.Kind.UNEXPLAINED_SPEND, cause=account.cause, facts=facts)
    else:
        alerts.resolve_alerts(alerts.Kind.UNEXPLAINED_SPEND, cause=account.cause)
    return result


class _RowsBetween:
    """Reads the rows of an account between two readings.

    Jobs are summed while the balance is followed, and are not kept in memory.
    """

    def __init__(self, account: ProviderAccount, opening: BalanceSnapshot, closing: BalanceSnapshot) -> None:
        self.account, self.opened_at, self.closed_at = account, opening.taken_at, closing.taken_at
        self._entries = entries_between(account=account, after=self.opened_at, until=self.closed_at)

    def track_balance(self) -> tuple[Track, GroupSums]:
        """Follow the balance through all readings; returns the track and the sums of the account's jobs."""
        snapshots = _snapshots(self.account).filter(taken_at__gte=self.opened_at, taken_at__lte=self.closed_at)
        readings = [Reading(at, balance, pk) for at, balance, pk in snapshots.values_list("taken_at", "balance", "pk")]
        entries = self._entries.exclude(kind=Kind.CORRECTION).order_by("happened_at")
        movements = [Movement(at, amount) for at, amount in entries.values_list("happened_at", "amount")]
        sums = GroupSums(Jobs)
        return follow_balance(readings, self._sum_and_yield_jobs(sums), movements), sums

    def sum_entries(self) -> dict[str, Decimal]:
        """The sums of the entries, by kind."""
        sums = dict(self._entries.order_by().values_list("kind").annotate(sum=Sum("amount")))
        return {kind: sums.get(kind, ZERO) for kind in Kind}

    def _sum_and_yield_jobs(self, sums: GroupSums) -> Iterator[Job]:
        """Yield every job that the balance may include, and add the account's own jobs to `sums`."""
        for account_id, model, basis, estimated, cost, sent_at, settled_at in self._job_rows():
            actual = cost or ZERO
            max_cost = max(estimated, actual)
            if account_id != self.account.pk:
                # Other keys may or may not share this balance, so the cost of their videos is possible but never known.
                yield Job(sent_at, None, ZERO, max_cost)
                continue
            # A cost that is only possible never becomes known.
            known_at = None if settled_at is None or basis == Basis.POSSIBLE else settled_at + GRACE
            is_known = known_at is not None and known_at <= self.closed_at
            sums[Group(model, basis, is_known, not actual)].add(1, estimated, actual)
            yield Job(sent_at, known_at, actual, max_cost)

    def _job_rows(self) -> Iterator[tuple[int, str, str, Decimal, Decimal | None, datetime, datetime | None]]:
        """Jobs sent before the closing reading, except those that had ended before the opening reading.

        Includes the jobs of all accounts with the same provider and base URL. `promised_at` is when a job was sent.
        """
        accounts = ProviderAccount.objects.filter(provider=self.account.provider, base_url=self.account.base_url)
        sent = Spend.objects.filter(
            account__in=list(accounts.values_list("pk", flat=True)), promised_at__lte=self.closed_at
        ).values_list("account_id", "model", "basis", "estimated", "actual", "promised_at", "settled_at")
        # Each part of the union uses an index. One statement reads each job once, even if it is settled in the meantime.
        parts = sent.filter(state=Spend.State.PROMISED).union(
            sent.filter(state=Spend.State.SETTLED, settled_at__gt=self.opened_at - GRACE), all=True
        )
        return parts.iterator(chunk_size=CHUNK_SIZE)  # type: ignore[return-value]  # sent jobs have `promised_at`


def _snapshots(account: ProviderAccount) -> models.QuerySet[BalanceSnapshot]:
    return BalanceSnapshot.objects.filter(account=account).order_by("taken_at", "pk")


def _find_opening(account: ProviderAccount, since: datetime) -> BalanceSnapshot | None:
    """The reading of the OPENING_SEARCH_PERIOD before `since` with the fewest credits reserved for jobs (`promised`).

    Returns the last reading before `since` if that period has none, and the very first reading if all are later.
    """
    before = _snapshots(account).filter(taken_at__lte=since)
    least_reserved = (
        before.filter(taken_at__gt=since - OPENING_SEARCH_PERIOD).order_by("promised", "-taken_at", "-pk").first()
    )
    return least_reserved or before.last() or _snapshots(account).first()

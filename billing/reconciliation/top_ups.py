"""Records credits added to a provider balance: top-ups, and what the provider returned for failed videos.

A *jump* is an unexplained change of the balance between two readings (see `balance_track`). A *rise* is an
increase that no entry explains yet; it may consist of several upward jumps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_noop

from accounts.seams import clock
from billing.common import run_all
from billing.models import BalanceSnapshot, LedgerEntry, ProviderAccount, ProviderEntry, Spend
from billing.provider import accounts as provider_accounts
from billing.reconciliation import reconcile, unexplained
from billing.reconciliation.balance_track import Jump, Track
from billing.reconciliation.reconcile import GRACE, Reconciliation

Kind = ProviderEntry.Kind
ZERO = Decimal(0)

RECONCILE_INTERVAL = timedelta(minutes=5)
# Only the readings of this period are searched for rises.
SEARCH_PERIOD = timedelta(days=2)
# Returned credits belong to one or more of the last RETURNED_JOBS jobs that ended within RETURNED_PERIOD.
RETURNED_PERIOD = timedelta(days=1)
RETURNED_JOBS = 12
# While open jobs make its amount uncertain, a rise is not recorded for this long. Then its certain part is recorded.
MAX_MEASURING_TIME = timedelta(minutes=15)
# Operators buy multiples of these amounts, so an uncertain rise is recorded as one (see `Rise.amount`).
ROUND_UNITS = (Decimal(1000), Decimal(500))

# Reasons of automatic entries, translated when they are shown.
TOP_UP_REASON = gettext_noop("The balance rose by more than returned credits explain")
RETURNED_REASON = gettext_noop("The balance rose by the cost of a refunded video")


@dataclass(frozen=True)
class Rise:
    """Upward jumps that belong together, of `min_amount` to `max_amount` credits in all."""

    jumps: tuple[Jump, ...]
    min_amount: Decimal
    max_amount: Decimal

    @property
    def first_at(self) -> datetime:
        return self.jumps[0].after.at

    @property
    def last_at(self) -> datetime:
        return self.jumps[-1].after.at

    @property
    def is_uncertain(self) -> bool:
        return self.max_amount - self.min_amount > settings.UNEXPLAINED_TOLERANCE

    @property
    def amount(self) -> Decimal:
        """The amount to record, between `min_amount` and `max_amount`.

        It is a round amount if exactly one multiple of the largest unit that fits lies in between, else the minimum.
        """
        for unit in ROUND_UNITS if self.is_uncertain else ():
            lowest = (self.min_amount / unit).to_integral_value(ROUND_CEILING) * unit
            if lowest <= self.max_amount:
                return lowest if lowest + unit > self.max_amount else self.min_amount
        return self.min_amount

    def is_measured(self, at: datetime) -> bool:
        """Whether the rise can be recorded: no delayed reading can arrive any more, and the amount is certain
        or MAX_MEASURING_TIME has passed."""
        return at - self.last_at >= GRACE and (not self.is_uncertain or at - self.first_at >= MAX_MEASURING_TIME)


def reconcile_accounts() -> None:
    """Record rises and update the unexplained amount of each account with recent readings. Runs every RECONCILE_INTERVAL."""
    recent = BalanceSnapshot.objects.filter(taken_at__gt=clock.database_now() - reconcile.WATCHED_PERIOD)
    accounts = ProviderAccount.objects.filter(pk__in=recent.order_by().values("account")).order_by("pk")
    run_all.run_all_then_raise(
        *(partial(update, account) for account in accounts for update in (record_rises, unexplained.update_if_changed))
    )


def record_rises(account: ProviderAccount) -> list[ProviderEntry]:
    """Record each rise once, even if called repeatedly or concurrently; returns the new entries."""
    last = _last_entry(account)
    at = clock.database_now()
    reconciliation = reconcile.reconcile(account=account, since=at - SEARCH_PERIOD, until=at)
    if reconciliation is None:
        return []
    measured = [rise for rise in find_rises(reconciliation.track) if rise.is_measured(at)]
    if not measured:
        return []
    with transaction.atomic():
        # The history was read without the lock, because every spending decision waits for the lock. An entry written in the
        # meantime may have recorded the same rise, so the next run decides.
        provider_accounts.lock_account(account.pk)
        if _last_entry(account) != last:
            return []
        return [entry for rise in measured for entry in _write_entries(reconciliation, rise)]


def list_unrecorded_rises(reconciliation: Reconciliation) -> list[Rise]:
    """Rises that are too recent or too uncertain to be recorded yet."""
    at = clock.database_now()
    return [rise for rise in find_rises(reconciliation.track) if not rise.is_measured(at)]


def find_rises(track: Track) -> list[Rise]:
    """Rises above the tolerance, in order. A top-up may appear in several jumps as the cost of open jobs becomes known."""
    groups: list[list[Jump]] = []
    for jump in _drop_false_jumps(track.jumps):
        if jump.amount < 0:
            continue
        if groups and jump.after.at - groups[-1][0].after.at <= MAX_MEASURING_TIME:
            groups[-1].append(jump)
        else:
            groups.append([jump])
    rises = []
    for group in groups:
        min_amount = sum((jump.amount for jump in group), ZERO)
        slack = track.slack if group[-1] is track.jumps[-1] else ZERO
        if min_amount > settings.UNEXPLAINED_TOLERANCE:
            rises.append(Rise(tuple(group), min_amount, min_amount + slack))
    return rises


def _drop_false_jumps(jumps: Sequence[Jump]) -> list[Jump]:
    """Drop pairs of a fall and an equal rise, which two readings that arrive out of order cause."""
    kept: list[Jump] = []
    for jump in jumps:
        previous = kept[-1] if kept else jump
        if (
            previous.amount < 0 < jump.amount
            and jump.after.at - previous.after.at < GRACE
            and abs(previous.amount + jump.amount) <= settings.UNEXPLAINED_TOLERANCE
        ):
            kept.pop()
        else:
            kept.append(jump)
    return kept


def _last_entry(account: ProviderAccount) -> int | None:
    """The newest entry's id. Entries are written under the account's lock and never removed."""
    return ProviderEntry.objects.filter(account=account).order_by("-pk").values_list("pk", flat=True).first()


def _write_entries(reconciliation: Reconciliation, rise: Rise) -> Iterator[ProviderEntry]:
    """Create and yield the entries for one rise, in the caller's transaction: returned credits, or a top-up."""
    recent = Spend.objects.filter(
        account=reconciliation.account,
        state=Spend.State.SETTLED,
        settled_at__gt=rise.first_at - RETURNED_PERIOD,
        settled_at__lte=rise.last_at,
    ).order_by("-settled_at")
    jumps_before = (jump.amount for jump in reconciliation.jumps if jump.after.at < rise.first_at)
    unexplained_before = sum(jumps_before, ZERO) - reconciliation.corrections
    free = recent.filter(basis=Spend.Basis.ASSUMED, actual=0)[:RETURNED_JOBS]
    if unexplained_before <= -rise.min_amount and find_parts_summing_to(
        rise.min_amount, {spend.job_id: spend.estimated for spend in free}
    ):
        # The provider charged for a failed video and returned it: neither was recorded, and they cancel out.
        return
    refunded = Exists(LedgerEntry.objects.filter(kind=LedgerEntry.Kind.REFUND, job_id=OuterRef("job_id")))
    already_returned = Exists(ProviderEntry.objects.filter(kind=Kind.RETURNED, job_id=OuterRef("job_id")))
    paid = recent.filter(refunded, ~already_returned, actual__gt=0).exclude(basis=Spend.Basis.POSSIBLE)[:RETURNED_JOBS]
    costs = {spend.job_id: spend.actual or ZERO for spend in paid}
    # A round amount is a top-up, even if the costs of some videos add up to it.
    returned = find_parts_summing_to(rise.min_amount, costs) if rise.min_amount % ROUND_UNITS[0] else []
    for job_id in returned:
        yield _write_entry(reconciliation, rise, Kind.RETURNED, costs[job_id], key=f"returned:{job_id}", job_id=job_id)
    if not returned:
        # A later run may find another part of the rise at the same reading.
        part = ProviderEntry.objects.filter(snapshot_id=rise.jumps[0].after.pk, kind=Kind.TOP_UP).count()
        yield _write_entry(
            reconciliation, rise, Kind.TOP_UP, rise.amount, key=f"top-up:{rise.jumps[0].after.pk}:{part}"
        )


def _write_entry(
    reconciliation: Reconciliation,
    rise: Rise,
    kind: ProviderEntry.Kind,
    amount: Decimal,
    *,
    key: str,
    job_id: UUID | None = None,
) -> ProviderEntry:
    return ProviderEntry.objects.create(
        account=reconciliation.account,
        kind=kind,
        amount=amount,
        reason=RETURNED_REASON if job_id else TOP_UP_REASON,
        snapshot_id=rise.jumps[0].after.pk,
        job_id=job_id,
        idempotency_key=key,
        happened_at=rise.first_at,
    )


def find_parts_summing_to(amount: Decimal, parts: dict[UUID, Decimal]) -> list[UUID]:
    """The ids of the first combination of parts that adds up to exactly this amount; empty if there is none."""
    ids_by_total: dict[Decimal, list[UUID]] = {ZERO: []}
    for part_id, part in parts.items():
        for total, ids in list(ids_by_total.items()):
            if total + part <= amount:
                ids_by_total.setdefault(total + part, [*ids, part_id])
        if amount in ids_by_total:
            return ids_by_total[amount]
    return []

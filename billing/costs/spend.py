"""The only writer of spend: estimated when ordered, promised when sent, settled when known. In provider credits."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from accounts.models import User
from accounts.seams import clock
from billing.budgets import usage as budget_usage
from billing.costs import rollups
from billing.models import Measure, PaidCall, ProviderAccount, Spend
from billing.pricing.prices import Quote

Basis = Spend.Basis
Outcome = PaidCall.Outcome

ZERO = Decimal(0)


def estimate(*, job_id: UUID, user: User, quote: Quote) -> Spend:
    """Create the spend of an order with its estimate, in the order's transaction."""
    spend = Spend.objects.create(
        job_id=job_id,
        user=user,
        model=quote.model,
        resolution=quote.resolution,
        kind=quote.kind,
        user_credits=quote.user_credits,
        estimated=quote.provider_credits,
        usd_per_credit=quote.usd_per_credit,
        created_at=clock.now(),
    )
    counts: list[rollups.Count] = [
        (Measure.ORDERED, 1),
        (Measure.ESTIMATED, spend.estimated),
        (Measure.CHARGED, spend.user_credits),
    ]
    rollups.record_counts(ordered_at=spend.created_at, model=spend.model, user_id=user.pk, counts=counts)
    return spend


class NotEstimated(Exception):
    """The job is promised or settled already, so it must not be sent."""


def promise(*, spend: Spend, account: ProviderAccount) -> PaidCall:
    """Store the paid call before it is sent and count it in its budgets. Raises BudgetSpent when one has no room.

    Never pay twice: NotEstimated, or IntegrityError when a call is live.
    """
    with transaction.atomic():
        at = clock.database_now()
        promised = Spend.objects.filter(pk=spend.pk, state=Spend.State.ESTIMATED).update(
            state=Spend.State.PROMISED, account=account, promised_at=at
        )
        if not promised:
            raise NotEstimated(spend.job_id)
        budget_usage.reserve(spend=spend, at=at)
        return PaidCall.objects.create(spend=spend, account=account, started_at=at)


def record_answer(*, job_id: UUID, outcome: PaidCall.Outcome, code: str = "", detail: str = "") -> None:
    """Store the outcome of the live call. A call that was not sent releases its promise."""
    with transaction.atomic():
        live = PaidCall.objects.filter(spend__job_id=job_id, outcome=Outcome.IN_FLIGHT)
        live.update(outcome=outcome, code=code[:40], detail=detail[:500], answered_at=clock.database_now())
        if outcome == Outcome.NOT_SENT and Spend.objects.filter(job_id=job_id, state=Spend.State.PROMISED).update(
            state=Spend.State.ESTIMATED, promised_at=None
        ):
            budget_usage.release(Spend.objects.get(job_id=job_id))


def confirm_call(*, job_id: UUID) -> None:
    """Mark an unconfirmed call as accepted."""
    PaidCall.objects.filter(spend__job_id=job_id, outcome=Outcome.UNCONFIRMED).update(outcome=Outcome.ACCEPTED)


def settle(*, job_id: UUID, actual: Decimal, basis: Spend.Basis) -> bool:
    """Store the actual cost once; False when it was stored before. `correct` replaces an assumed cost."""
    with transaction.atomic():
        settled = (
            Spend.objects.filter(job_id=job_id)
            .exclude(state=Spend.State.SETTLED)
            .update(state=Spend.State.SETTLED, actual=actual, basis=basis, settled_at=clock.database_now())
        )
        if settled:
            # Read again, because the database rounds: a recount must find the same amount.
            job = Spend.objects.get(job_id=job_id)
            counts: list[rollups.Count] = [
                (Measure.SETTLED, 1),
                (Measure.SETTLED_ESTIMATE, job.estimated),
                (Measure.ACTUAL, job.actual or ZERO),
            ]
            rollups.record_counts(ordered_at=job.created_at, model=job.model, user_id=job.user_id, counts=counts)
            budget_usage.recount(job)
        return bool(settled)


def correct(*, job_id: UUID, actual: Decimal, basis: Spend.Basis) -> bool:
    """Replace a possible or assumed cost by the known one; the balance may show it from now on."""
    assumed = Spend.objects.filter(
        job_id=job_id, state=Spend.State.SETTLED, basis__in=[Basis.POSSIBLE, Basis.ASSUMED, Basis.NOT_SPENT]
    )
    with transaction.atomic():
        before = assumed.select_for_update().values_list("actual", flat=True).first()
        # SQLite has no row locks, so the condition on `actual` decides.
        changes = {"actual": actual, "basis": basis, "settled_at": clock.database_now()}
        if before is None or not assumed.filter(actual=before).update(**changes):
            return False
        job = Spend.objects.get(job_id=job_id)
        rollups.record_job_counts(job_id=job_id, counts=[(Measure.ACTUAL, (job.actual or ZERO) - before)])
        budget_usage.recount(job)
        return True


def get_known_cost(*, job_id: UUID, reported: Decimal | None) -> tuple[Decimal, Spend.Basis]:
    """The cost of a finished job and its basis: as reported, else the price at which it was ordered."""
    if reported is not None:
        return reported, Basis.REPORTED
    return Spend.objects.values_list("estimated", flat=True).get(job_id=job_id), Basis.PRICE_LIST


def count_calls_in_window(*, account_id: int, since: datetime) -> int:
    """Count the paid calls that may have reached the provider after `since`.

    A call arrives at some time between its start and its answer, so it counts until a whole window has passed since its
    answer. This way no window at the provider exceeds the limit, however slow the network is. All times come from the
    database, because the clocks of two hosts differ.
    """
    calls = PaidCall.objects.filter(account_id=account_id)
    return (
        calls.filter(answered_at=None, outcome=Outcome.IN_FLIGHT).count() + calls.filter(answered_at__gt=since).count()
    )

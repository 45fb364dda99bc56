"""The only writer of spend: what each job costs us at the provider, in provider credits.

The cost is estimated when the job is ordered. It is promised when the job is sent: the estimate is reserved in the budgets
and in the provider balance. It is settled when the actual cost is known.
"""

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
    """The job must not be sent, because its cost is already promised or settled."""


def promise(*, spend: Spend, account: ProviderAccount) -> PaidCall:
    """Promise the cost of a job: store the paid call before it is sent, and reserve the estimate in the budgets.

    Raises BudgetSpent if a budget has no room. A job is never paid twice: raises NotEstimated if it is promised already, and
    IntegrityError if it has another paid call that may have reached the provider.
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


def record_response(*, job_id: UUID, outcome: PaidCall.Outcome, code: str = "", detail: str = "") -> None:
    """Store the outcome of the job's call that is in flight. If the call was not sent, the promise is released."""
    with transaction.atomic():
        calls = PaidCall.objects.filter(spend__job_id=job_id, outcome=Outcome.IN_FLIGHT)
        calls.update(outcome=outcome, code=code[:40], detail=detail[:500], answered_at=clock.database_now())
        if outcome == Outcome.NOT_SENT and Spend.objects.filter(job_id=job_id, state=Spend.State.PROMISED).update(
            state=Spend.State.ESTIMATED, promised_at=None
        ):
            budget_usage.release(Spend.objects.get(job_id=job_id))


def confirm_call(*, job_id: UUID) -> None:
    """Mark an unconfirmed call (one without a clear response) as accepted, because the provider knows the job."""
    PaidCall.objects.filter(spend__job_id=job_id, outcome=Outcome.UNCONFIRMED).update(outcome=Outcome.ACCEPTED)


def settle(*, job_id: UUID, actual: Decimal, basis: Spend.Basis) -> bool:
    """Store the actual cost; False if a cost was stored before. Only `correct` can replace a stored cost."""
    with transaction.atomic():
        settled = (
            Spend.objects.filter(job_id=job_id)
            .exclude(state=Spend.State.SETTLED)
            .update(state=Spend.State.SETTLED, actual=actual, basis=basis, settled_at=clock.database_now())
        )
        if settled:
            # Read again because the database rounds: a recount must find the same amount.
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
    """Replace a cost that was not certain by the actual one; False if the stored cost is certain.

    A cost is not certain if it was possible, assumed, or taken as not spent. The time of settling becomes now, because
    the balance may show the change only from now on.
    """
    assumed = Spend.objects.filter(
        job_id=job_id, state=Spend.State.SETTLED, basis__in=[Basis.POSSIBLE, Basis.ASSUMED, Basis.NOT_SPENT]
    )
    with transaction.atomic():
        previous = assumed.select_for_update().values_list("actual", flat=True).first()
        # SQLite has no row locks, so the condition on `actual` decides.
        changes = {"actual": actual, "basis": basis, "settled_at": clock.database_now()}
        if previous is None or not assumed.filter(actual=previous).update(**changes):
            return False
        job = Spend.objects.get(job_id=job_id)
        rollups.record_job_counts(job_id=job_id, counts=[(Measure.ACTUAL, (job.actual or ZERO) - previous)])
        budget_usage.recount(job)
        return True


def get_known_cost(*, job_id: UUID, reported: Decimal | None) -> tuple[Decimal, Spend.Basis]:
    """The cost of a finished job and its basis: the reported cost, or the price at which it was ordered."""
    if reported is not None:
        return reported, Basis.REPORTED
    return Spend.objects.values_list("estimated", flat=True).get(job_id=job_id), Basis.PRICE_LIST


def count_calls_in_window(*, account_id: int, since: datetime) -> int:
    """Count the paid calls that may have reached the provider after `since`.

    A call reaches the provider at some time between its start and its response, so it counts until a whole window of the
    rate limit has passed since its response. This way no window at the provider exceeds the limit, however slow the
    network is. All times come from the database, because the clocks of two hosts differ.
    """
    calls = PaidCall.objects.filter(account_id=account_id)
    return (
        calls.filter(answered_at=None, outcome=Outcome.IN_FLIGHT).count() + calls.filter(answered_at__gt=since).count()
    )

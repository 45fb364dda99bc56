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
    """Note what an order will cost us, before anything is sent. Part of the order's transaction."""
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
    """A paid call was about to be made for a job that is promised or settled already."""


def promise(*, spend: Spend, account: ProviderAccount) -> PaidCall:
    """Note the paid call before it is sent, counted in its budgets; BudgetSpent when one of them has no room.

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


def answered(*, job_id: UUID, outcome: PaidCall.Outcome, code: str = "", detail: str = "") -> None:
    """Note how the live call ended. A call that was not begun takes its promise back."""
    with transaction.atomic():
        live = PaidCall.objects.filter(spend__job_id=job_id, outcome=Outcome.IN_FLIGHT)
        live.update(outcome=outcome, code=code[:40], detail=detail[:500], answered_at=clock.database_now())
        if outcome == Outcome.NOT_SENT and Spend.objects.filter(job_id=job_id, state=Spend.State.PROMISED).update(
            state=Spend.State.ESTIMATED, promised_at=None
        ):
            budget_usage.release(Spend.objects.get(job_id=job_id))


def confirmed(*, job_id: UUID) -> None:
    """An unconfirmed call turned out to have been accepted."""
    PaidCall.objects.filter(spend__job_id=job_id, outcome=Outcome.UNCONFIRMED).update(outcome=Outcome.ACCEPTED)


def settle(*, job_id: UUID, actual: Decimal, basis: Spend.Basis) -> bool:
    """Write the actual cost, once; False when it was written before. `correct` changes a guess to a fact."""
    with transaction.atomic():
        settled = (
            Spend.objects.filter(job_id=job_id)
            .exclude(state=Spend.State.SETTLED)
            .update(state=Spend.State.SETTLED, actual=actual, basis=basis, settled_at=clock.database_now())
        )
        if settled:
            # As the row holds it, rounded: what is counted must be what a recount finds.
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
    """Replace what was only possible or assumed by what is known now; the balance may show it from now on."""
    guessed = Spend.objects.filter(
        job_id=job_id, state=Spend.State.SETTLED, basis__in=[Basis.POSSIBLE, Basis.ASSUMED, Basis.NOT_SPENT]
    )
    with transaction.atomic():
        before = guessed.select_for_update().values_list("actual", flat=True).first()
        # The condition decides on SQLite, where nothing locks a row.
        changes = {"actual": actual, "basis": basis, "settled_at": clock.database_now()}
        if before is None or not guessed.filter(actual=before).update(**changes):
            return False
        job = Spend.objects.get(job_id=job_id)
        rollups.record_job_counts(job_id=job_id, counts=[(Measure.ACTUAL, (job.actual or ZERO) - before)])
        budget_usage.recount(job)
        return True


def known_cost(*, job_id: UUID, reported: Decimal | None) -> tuple[Decimal, Spend.Basis]:
    """What a finished job cost: the provider's word, else the price it was ordered at."""
    if reported is not None:
        return reported, Basis.REPORTED
    return Spend.objects.values_list("estimated", flat=True).get(job_id=job_id), Basis.PRICE_LIST


def calls_in_window(*, account_id: int, since: datetime) -> int:
    """Paid calls that may have reached the provider after `since`.

    A call arrives somewhere between its start and its answer, so one counts until a whole window has passed since its
    answer; that way no window at the provider can hold more than the limit, however slow the network is. All times are
    the database's, for the clocks of two hosts differ.
    """
    calls = PaidCall.objects.filter(account_id=account_id)
    return (
        calls.filter(answered_at=None, outcome=Outcome.IN_FLIGHT).count() + calls.filter(answered_at__gt=since).count()
    )

"""Proposals to change our price list when the provider charges other prices. An operator applies or dismisses them.

Proposals come from the reported costs of videos that were ordered at the current price, or from the provider's price
feed. Prices are never edited: a newer row replaces an older one. `listed` is the cost of a job in our price list, in
provider credits; `seen` is what the provider charges.
"""

from collections import Counter
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import User
from accounts.seams import clock
from billing.alerts import services as alerts
from billing.common.formatting import format_plain
from billing.common.item_names import Item
from billing.models import Price, PriceProposal, Spend
from billing.pricing import margins, prices

State = PriceProposal.State
Source = PriceProposal.Source

# A proposal needs MIN_EQUAL_COSTS equal costs among the last COMPARED_COSTS costs of an item.
COMPARED_COSTS, MIN_EQUAL_COSTS = 3, 2
REPORTED_WITHIN = timedelta(days=7)
# A price that is more than this many times higher or lower than ours is taken for a mistake.
IMPLAUSIBLE_FACTOR = 10


class AlreadyDecided(Exception):
    """The proposal was already applied or dismissed."""


def propose_from_reported_costs() -> list[PriceProposal]:
    """Compare the last reported costs of each item with its price; returns the open proposals."""
    proposals = []
    for price in prices.list_current_prices():
        item, listed = Item(price.model, price.resolution, price.kind), price.provider_credits
        reported = _reported_costs(price)
        most_common = Counter(reported.values_list("actual", flat=True)[:COMPARED_COSTS]).most_common(1)
        cost, times = most_common[0] if most_common else (None, 0)
        if cost is None or times < MIN_EQUAL_COSTS:
            continue
        if cost == listed:
            withdraw_proposals(item=item, source=Source.REPORTED)
            continue
        times = reported.filter(actual=cost).count()
        if proposal := propose_price(item=item, listed=listed, seen=cost, source=Source.REPORTED, times=times):
            proposals.append(proposal)
    return proposals


def propose_price(
    *, item: Item, listed: Decimal, seen: Decimal, source: PriceProposal.Source, times: int = 1
) -> PriceProposal | None:
    """Create or update the proposal to follow the provider's price `seen`, and raise an alert.

    Returns None if an operator dismissed exactly this proposal.
    """
    at = clock.now()
    same_price = PriceProposal.objects.filter(**item._asdict(), seen=seen)
    if same_price.filter(state=State.DISMISSED, listed=listed, decided_by__isnull=False).exists():
        return None
    with transaction.atomic():
        outdated = PriceProposal.objects.filter(**item._asdict(), source=source, state=State.OPEN).exclude(seen=seen)
        outdated.update(state=State.DISMISSED, decided_at=at)
        # The database allows one open proposal for each item and price, so concurrent calls create only one.
        proposal, _ = PriceProposal.objects.update_or_create(
            **item._asdict(),
            seen=seen,
            state=State.OPEN,
            defaults={"listed": listed, "last_at": at, "times": times},
            create_defaults={"listed": listed, "source": source, "times": times, "first_at": at, "last_at": at},
        )
    alerts.raise_alert(
        alerts.Kind.PRICE_CHANGED,
        cause=str(item),
        facts={"say": [f"price_{source}"], "listed": format_plain(listed), "seen": format_plain(seen)},
    )
    return proposal


def withdraw_proposals(*, item: Item, source: PriceProposal.Source) -> int:
    """Dismiss the open proposals from this source because the provider charges our price again; returns how many."""
    proposals = PriceProposal.objects.filter(**item._asdict(), source=source, state=State.OPEN)
    dismissed = proposals.update(state=State.DISMISSED, decided_at=clock.now())
    if dismissed:
        _resolve_alert(item)
    return dismissed


def apply_proposal(*, proposal_id: int, user_credits: int, actor: User) -> Price:
    """Add the provider's price to our list, with this price for users. Raises AlreadyDecided."""
    with transaction.atomic():
        proposal = _decide(proposal_id, State.APPLIED, actor)
        item = Item(proposal.model, proposal.resolution, proposal.kind)
        price = set_price(item=item, provider_credits=proposal.seen, user_credits=user_credits)
    margins.update_margin_alerts()
    return price


def dismiss_proposal(*, proposal_id: int, actor: User) -> None:
    """Keep our price and do not make this proposal again. Raises AlreadyDecided."""
    proposal = _decide(proposal_id, State.DISMISSED, actor)
    _resolve_alert(Item(proposal.model, proposal.resolution, proposal.kind))


def set_price(*, item: Item, provider_credits: Decimal, user_credits: int) -> Price:
    """Add a price that is valid from now on; open proposals with the same cost become applied."""
    at = clock.now()
    with transaction.atomic():
        matching = PriceProposal.objects.filter(**item._asdict(), seen=provider_credits, state=State.OPEN)
        matching.update(state=State.APPLIED, decided_at=at)
        price = Price.objects.create(
            **item._asdict(), provider_credits=provider_credits, user_credits=user_credits, valid_from=at
        )
    _resolve_alert(item)
    return price


def user_credits_for_same_margin(*, user_credits: int, listed: Decimal, seen: Decimal) -> int:
    """The price in whole user credits (at least one) that keeps the margin percentage at the new cost."""
    return max(1, int((user_credits * seen / listed).to_integral_value(ROUND_CEILING)))


def is_implausible(*, listed: Decimal, seen: Decimal) -> bool:
    """Whether a price is probably a mistake: not above zero, or more than IMPLAUSIBLE_FACTOR from ours."""
    return seen <= 0 or seen > listed * IMPLAUSIBLE_FACTOR or seen * IMPLAUSIBLE_FACTOR < listed


def _reported_costs(price: Price) -> QuerySet[Spend]:
    """Recent jobs ordered at this price with a cost reported by the provider, newest first (index `spend_reported`)."""
    return Spend.objects.filter(
        model=price.model,
        resolution=price.resolution,
        kind=price.kind,
        state=Spend.State.SETTLED,
        basis=Spend.Basis.REPORTED,
        settled_at__gt=clock.database_now() - REPORTED_WITHIN,
        created_at__gte=price.valid_from,
        actual__gt=0,
    ).order_by("-settled_at", "-pk")


def _decide(proposal_id: int, state: PriceProposal.State, actor: User) -> PriceProposal:
    decided = PriceProposal.objects.filter(pk=proposal_id, state=State.OPEN).update(
        state=state, decided_at=clock.now(), decided_by=actor
    )
    if not decided:
        raise AlreadyDecided
    return PriceProposal.objects.get(pk=proposal_id)


def _resolve_alert(item: Item) -> None:
    """Resolve the item's alert unless another proposal is open."""
    if not PriceProposal.objects.filter(**item._asdict(), state=State.OPEN).exists():
        alerts.resolve_alerts(alerts.Kind.PRICE_CHANGED, cause=str(item))

"""What the provider charges by now, against our list: proposals that a person applies or puts aside.

A proposal comes from what finished videos cost that were ordered at the price in force, or from the provider's feed. Prices
are never edited: a new one takes over.
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

# So many of an item's last costs are looked at, and so many of them must agree.
COMPARED_COSTS, MIN_EQUAL_COSTS = 3, 2
REPORTED_WITHIN = timedelta(days=7)
# A price that is so many times ours, or so small a part of it, is a mistake until somebody says otherwise.
IMPLAUSIBLE_FACTOR = 10


class AlreadyDecided(Exception):
    """Somebody has applied the proposal or put it aside already."""


def propose_from_reported_costs() -> list[PriceProposal]:
    """Compare what the last videos of each item cost with its price; returns the proposals that stand."""
    standing = []
    for price in prices.list_current_prices():
        item, listed = Item(price.model, price.resolution, price.kind), price.provider_credits
        reported = _reported(price)
        last = Counter(reported.values_list("actual", flat=True)[:COMPARED_COSTS]).most_common(1)
        seen, times = last[0] if last else (None, 0)
        if seen is None or times < MIN_EQUAL_COSTS:
            continue
        if seen == listed:
            withdraw_proposals(item=item, source=Source.REPORTED)
            continue
        times = reported.filter(actual=seen).count()
        if proposal := propose_price(item=item, listed=listed, seen=seen, source=Source.REPORTED, times=times):
            standing.append(proposal)
    return standing


def propose_price(
    *, item: Item, listed: Decimal, seen: Decimal, source: PriceProposal.Source, times: int = 1
) -> PriceProposal | None:
    """Note that the provider charges `seen`, and alert. None when a person has put exactly this aside."""
    at = clock.now()
    same = PriceProposal.objects.filter(**item._asdict(), seen=seen)
    if same.filter(state=State.DISMISSED, listed=listed, decided_by__isnull=False).exists():
        return None
    with transaction.atomic():
        former = PriceProposal.objects.filter(**item._asdict(), source=source, state=State.OPEN).exclude(seen=seen)
        former.update(state=State.DISMISSED, decided_at=at)
        # One open proposal for each item and price, says the database; two who look at once make one.
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
    """The provider charges what our list says: end what was proposed from this source; returns how many."""
    open_ones = PriceProposal.objects.filter(**item._asdict(), source=source, state=State.OPEN)
    ended = open_ones.update(state=State.DISMISSED, decided_at=clock.now())
    if ended:
        _resolve(item)
    return ended


def apply_proposal(*, proposal_id: int, user_credits: int, actor: User) -> Price:
    """Take the provider's price into our list from now on, at this price for users. Raises Decided."""
    with transaction.atomic():
        proposal = _decide(proposal_id, State.APPLIED, actor)
        item = Item(proposal.model, proposal.resolution, proposal.kind)
        price = set_price(item=item, provider_credits=proposal.seen, user_credits=user_credits)
    margins.update_margin_alerts()
    return price


def dismiss_proposal(*, proposal_id: int, actor: User) -> None:
    """Leave our list as it is, and do not propose this again. Raises Decided."""
    proposal = _decide(proposal_id, State.DISMISSED, actor)
    _resolve(Item(proposal.model, proposal.resolution, proposal.kind))


def set_price(*, item: Item, provider_credits: Decimal, user_credits: int) -> Price:
    """A new price, from now on; whoever had proposed just this has it."""
    at = clock.now()
    with transaction.atomic():
        proposed = PriceProposal.objects.filter(**item._asdict(), seen=provider_credits, state=State.OPEN)
        proposed.update(state=State.APPLIED, decided_at=at)
        price = Price.objects.create(
            **item._asdict(), provider_credits=provider_credits, user_credits=user_credits, valid_from=at
        )
    _resolve(item)
    return price


def user_credits_for_same_margin(*, user_credits: int, listed: Decimal, seen: Decimal) -> int:
    """What users would pay so that as large a share of it remains as before; whole credits, at least one."""
    return max(1, int((user_credits * seen / listed).to_integral_value(ROUND_CEILING)))


def is_implausible(*, listed: Decimal, seen: Decimal) -> bool:
    """Whether a price looks like a mistake: nothing or less, or out of all proportion to ours."""
    return seen <= 0 or seen > listed * IMPLAUSIBLE_FACTOR or seen * IMPLAUSIBLE_FACTOR < listed


def _reported(price: Price) -> QuerySet[Spend]:
    """What the provider reported lately for videos that were ordered at this price, newest first. By an index."""
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


def _resolve(item: Item) -> None:
    """End the alert unless another proposal for the item stands."""
    if not PriceProposal.objects.filter(**item._asdict(), state=State.OPEN).exists():
        alerts.resolve_alerts(alerts.Kind.PRICE_CHANGED, cause=str(item))

"""Changed provider prices are proposed, applied or dismissed; negative margins raise an alert."""

from copy import copy
from decimal import Decimal
from uuid import uuid4

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.common.item_names import Item, get_model_title
from billing.models import Alert, Price, PriceProposal, Spend
from billing.pricing import margins, prices, provider_price_changes
from tests.billing.simulated_provider import SimulatedProvider
from tests.clocks import ManualClock
from videos.worker import tasks as worker_tasks

pytestmark = pytest.mark.django_db
FAST = Item("veo3_fast", "720p", "generate")
FEED = PriceProposal.Source.FEED


@pytest.fixture
def provider(manual_clock: ManualClock, alice: User, settings: Settings) -> SimulatedProvider:
    settings.HOURLY_COST_LIMIT = Decimal(100_000)
    return SimulatedProvider(manual_clock, alice)


def proposals() -> list[tuple[str, Decimal, Decimal | None, int]]:
    rows = PriceProposal.objects.order_by("id")
    return list(rows.values_list("state", "seen", "listed", "times"))


def open_alerts(kind: str = "price_changed") -> list[str]:
    return list(Alert.objects.filter(kind=kind, resolved_at=None).order_by("cause").values_list("cause", flat=True))


def propose(seen: object = 30, **options: object) -> PriceProposal | None:
    arguments = {"item": FAST, "listed": Decimal(60), "seen": Decimal(str(seen)), "source": FEED, **options}
    return provider_price_changes.propose_price(**arguments)  # type: ignore[arg-type]


def test_two_of_the_last_three_videos_at_another_price_make_a_proposal(provider: SimulatedProvider) -> None:
    provider.run_job(actual=60)
    provider.run_job(actual=30)
    provider_price_changes.propose_from_reported_costs()
    assert proposals() == [], "a single different cost may be a mistake"
    provider.run_job(actual=30)
    worker_tasks.reconcile()
    assert proposals() == [("open", 30, 60, 2)]
    alert = Alert.objects.get(kind="price_changed")
    assert (alert.cause, alert.severity) == (str(FAST), "warning")
    assert alert.detail == "Our price list says 60 provider credits; finished videos cost 30."


def test_a_repeated_run_updates_the_same_proposal(provider: SimulatedProvider) -> None:
    for _ in range(3):
        provider.run_job(actual=30)
    provider_price_changes.propose_from_reported_costs()
    (proposal,) = provider_price_changes.propose_from_reported_costs()
    provider.run_job(actual=30)
    assert provider_price_changes.propose_from_reported_costs() == [proposal]
    assert proposals() == [("open", 30, 60, 4)]


def test_only_costs_reported_by_the_provider_make_a_proposal(provider: SimulatedProvider) -> None:
    for basis in ("price_list", "assumed", "possible"):
        provider.run_job(actual=30, basis=basis)
    for _ in range(3):
        provider.run_job(actual=0)
    for cost in (30, 31, 32):
        provider.run_job(actual=cost)
    assert provider_price_changes.propose_from_reported_costs() == []
    assert proposals() == []


def test_items_that_are_no_longer_sold_are_skipped(provider: SimulatedProvider) -> None:
    for _ in range(2):
        provider.run_job(actual=30)
    Price.objects.filter(**FAST._asdict()).delete()
    assert provider_price_changes.propose_from_reported_costs() == []


def test_a_proposal_ends_when_the_provider_charges_our_price_again(provider: SimulatedProvider) -> None:
    for _ in range(2):
        provider.run_job(actual=30)
    provider_price_changes.propose_from_reported_costs()
    for _ in range(2):
        provider.run_job(actual=60)
    assert provider_price_changes.propose_from_reported_costs() == []
    assert proposals() == [("dismissed", 30, 60, 2)]
    assert open_alerts() == []
    for _ in range(2):
        provider.run_job(actual=30)
    provider_price_changes.propose_from_reported_costs()
    assert [state for state, *_ in proposals()] == ["dismissed", "open"]


def test_a_further_change_replaces_the_former_proposal(provider: SimulatedProvider) -> None:
    for cost in (30, 30, 45, 45):
        provider.run_job(actual=cost)
        provider_price_changes.propose_from_reported_costs()
    assert proposals() == [("dismissed", 30, 60, 2), ("open", 45, 60, 2)]
    assert open_alerts() == [str(FAST)]


def test_applying_adds_a_price_valid_from_now_on(provider: SimulatedProvider, olga: User) -> None:
    for _ in range(2):
        provider.run_job(actual=30)
    (proposal,) = provider_price_changes.propose_from_reported_costs()
    provider.advance(minutes=5)
    price = provider_price_changes.apply_proposal(proposal_id=proposal.pk, user_credits=60, actor=olga)
    assert (price.provider_credits, price.user_credits, price.valid_from) == (30, 60, provider.clock.at)
    quote = prices.get_quote(model="veo3_fast", resolution="720p")
    assert (quote.provider_credits, quote.user_credits) == (30, 60)
    assert Price.objects.filter(**FAST._asdict()).count() == 2, "the former price stays in the history"
    proposal.refresh_from_db()
    assert (proposal.state, proposal.decided_by, proposal.decided_at) == ("applied", olga, provider.clock.at)
    assert open_alerts() == []
    assert provider_price_changes.propose_from_reported_costs() == []
    with pytest.raises(provider_price_changes.AlreadyDecided):
        provider_price_changes.apply_proposal(proposal_id=proposal.pk, user_credits=60, actor=olga)
    assert Price.objects.filter(**FAST._asdict()).count() == 2


def test_a_dismissed_proposal_is_not_made_again_until_our_price_changes(
    provider: SimulatedProvider, olga: User
) -> None:
    for _ in range(2):
        provider.run_job(actual=30)
    (proposal,) = provider_price_changes.propose_from_reported_costs()
    provider_price_changes.dismiss_proposal(proposal_id=proposal.pk, actor=olga)
    assert open_alerts() == []
    assert provider_price_changes.propose_from_reported_costs() == []
    assert proposals() == [("dismissed", 30, 60, 2)]
    provider.advance(minutes=1)
    provider_price_changes.set_price(item=FAST, provider_credits=Decimal(50), user_credits=60)
    for _ in range(2):
        provider.run_job(actual=30)
    assert len(provider_price_changes.propose_from_reported_costs()) == 1
    assert proposals()[1] == ("open", 30, 50, 2)
    with pytest.raises(provider_price_changes.AlreadyDecided):
        provider_price_changes.dismiss_proposal(proposal_id=proposal.pk, actor=olga)


def test_the_alert_stays_while_another_proposal_for_the_item_is_open(provider: SimulatedProvider, olga: User) -> None:
    from_feed = propose(seen=40)
    for _ in range(2):
        provider.run_job(actual=30)
    provider_price_changes.propose_from_reported_costs()
    assert from_feed is not None
    provider_price_changes.dismiss_proposal(proposal_id=from_feed.pk, actor=olga)
    assert open_alerts() == [str(FAST)]
    assert provider_price_changes.withdraw_proposals(item=FAST, source=FEED) == 0


def test_jobs_ordered_at_the_former_price_are_not_compared_with_the_new_one(provider: SimulatedProvider) -> None:
    for _ in range(3):
        provider.run_job(actual=60)
    ordered_before = provider.send_job()
    provider.advance(minutes=1)
    provider_price_changes.set_price(item=FAST, provider_credits=Decimal(80), user_credits=100)
    provider.settle_job(ordered_before, actual=60)
    assert provider_price_changes.propose_from_reported_costs() == []
    for _ in range(2):
        provider.run_job(actual=60)
    assert len(provider_price_changes.propose_from_reported_costs()) == 1
    assert proposals() == [("open", 60, 80, 2)]


def test_a_rarely_sold_item_is_compared_however_many_others_are_sold(provider: SimulatedProvider) -> None:
    for _ in range(2):
        provider.run_job(actual=400, model="veo3")
    jobs = [provider.run_job() for _ in range(2)]
    for _ in range(6_000):
        jobs[0].pk, jobs[0].job_id = None, uuid4()
        jobs.append(copy(jobs[0]))
    Spend.objects.bulk_create(jobs[2:])
    (proposal,) = provider_price_changes.propose_from_reported_costs()
    assert (proposal.model, proposal.seen, proposal.listed, proposal.times) == ("veo3", 400, 250, 2)


def test_both_sources_of_one_price_are_one_proposal(provider: SimulatedProvider) -> None:
    propose(seen=30)
    for _ in range(2):
        provider.run_job(actual=30)
    provider_price_changes.propose_from_reported_costs()
    assert PriceProposal.objects.get().source == "feed"


@pytest.mark.parametrize(
    ("user_credits", "listed", "seen", "expected"),
    [(60, 60, 30, 30), (90, 60, 30, 45), (60, 60, "37.5", 38), (50, "37.5", 60, 80), (1, 60, 1, 1)],
)
def test_the_price_for_the_same_margin_is_rounded_up(
    user_credits: int, listed: object, seen: object, expected: int
) -> None:
    numbers = {"listed": Decimal(str(listed)), "seen": Decimal(str(seen))}
    assert provider_price_changes.user_credits_for_same_margin(user_credits=user_credits, **numbers) == expected


@pytest.mark.parametrize(
    ("seen", "is_implausible"), [(60, False), (600, False), (601, True), (6, False), (5, True), (0, True)]
)
def test_prices_out_of_proportion_are_implausible(seen: int, is_implausible: bool) -> None:
    assert provider_price_changes.is_implausible(listed=Decimal(60), seen=Decimal(seen)) == is_implausible


# Margins


def test_the_margin_in_dollars_and_percent(settings: Settings) -> None:
    settings.USD_PER_PROVIDER_CREDIT = Decimal("0.005")
    settings.USD_PER_USER_CREDIT = Decimal("0.01")
    margin = margins.Margin(60, Decimal("37.5"))
    assert (margin.usd, margin.percent, margin.is_negative) == (Decimal("0.4125"), Decimal("68.75"), False)
    margin = margins.Margin(60, Decimal(150))
    assert (margin.usd, margin.percent, margin.is_negative) == (Decimal("-0.15"), Decimal(-25), True)


def test_free_user_credits_have_no_margin(settings: Settings) -> None:
    settings.USD_PER_USER_CREDIT = Decimal(0)
    margin = margins.Margin(60, Decimal(60))
    assert (margin.percent, margin.is_negative) == (None, False)
    assert margins.update_margin_alerts() == []
    assert open_alerts("negative_margin") == []


def test_a_price_below_its_cost_raises_an_alert_until_it_changes(manual_clock: ManualClock) -> None:
    provider_price_changes.set_price(item=FAST, provider_credits=Decimal(80), user_credits=60)
    (below,) = margins.update_margin_alerts()
    assert (below.model, below.user_credits) == ("veo3_fast", 60)
    assert open_alerts("negative_margin") == [str(FAST)]
    message = "The user pays 60 credits and we pay 80 provider credits: a loss of 0.1 US$ per video."
    assert Alert.objects.get().detail == message
    manual_clock.sleep(1)
    provider_price_changes.set_price(item=FAST, provider_credits=Decimal(80), user_credits=80)
    assert margins.update_margin_alerts() == []
    assert open_alerts("negative_margin") == []


def test_items_have_readable_names() -> None:
    assert str(FAST) == "veo3_fast 720p generate"
    assert FAST.name == "Veo 3.1 Fast 720p · Video from text or frames"
    assert Item("veo9", "8k", "dream").name == "veo9 8k · dream"
    assert get_model_title("veo3_lite") == "Veo 3.1 Lite"

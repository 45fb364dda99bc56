"""A price that changed at the provider is proposed; a person applies it or puts it aside; margins below zero are told of."""

from copy import copy
from decimal import Decimal
from uuid import uuid4

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.common.item_names import Item, get_model_title
from billing.models import Alert, Price, PriceProposal, Spend
from billing.pricing import margins, prices, provider_price_changes
from tests.billing.conftest import SetClock
from tests.billing.purse import Purse
from videos.worker import tasks as worker_tasks

pytestmark = pytest.mark.django_db
FAST = Item("veo3_fast", "720p", "generate")
FEED = PriceProposal.Source.FEED


@pytest.fixture
def purse(still: SetClock, alice: User, settings: Settings) -> Purse:
    settings.HOURLY_COST_LIMIT = Decimal(100_000)
    return Purse(still, alice)


def proposals() -> list[tuple[str, Decimal, Decimal | None, int]]:
    rows = PriceProposal.objects.order_by("id")
    return list(rows.values_list("state", "seen", "listed", "times"))


def open_alerts(kind: str = "price_changed") -> list[str]:
    return list(Alert.objects.filter(kind=kind, resolved_at=None).order_by("cause").values_list("cause", flat=True))


def propose(seen: object = 30, **more: object) -> PriceProposal | None:
    found = {"item": FAST, "listed": Decimal(60), "seen": Decimal(str(seen)), "source": FEED, **more}
    return provider_price_changes.propose_price(**found)  # type: ignore[arg-type]


def test_two_of_the_last_three_videos_at_another_price_make_a_proposal(purse: Purse) -> None:
    purse.job(actual=60)
    purse.job(actual=30)
    provider_price_changes.propose_from_reported_costs()
    assert proposals() == [], "one may be a mistake"
    purse.job(actual=30)
    worker_tasks.reconcile()
    assert proposals() == [("open", 30, 60, 2)]
    alert = Alert.objects.get(kind="price_changed")
    assert (alert.cause, alert.severity) == (str(FAST), "warning")
    assert alert.detail == "Our list says 60 provider credits; finished videos cost 30."


def test_looking_again_keeps_one_proposal_that_counts(purse: Purse) -> None:
    for _ in range(3):
        purse.job(actual=30)
    provider_price_changes.propose_from_reported_costs()
    (proposal,) = provider_price_changes.propose_from_reported_costs()
    purse.job(actual=30)
    assert provider_price_changes.propose_from_reported_costs() == [proposal]
    assert proposals() == [("open", 30, 60, 4)]


def test_what_is_not_the_provider_s_word_proposes_nothing(purse: Purse) -> None:
    for basis in ("price_list", "assumed", "possible"):
        purse.job(actual=30, basis=basis)
    for _ in range(3):
        purse.job(actual=0)
    for cost in (30, 31, 32):
        purse.job(actual=cost)
    assert provider_price_changes.propose_from_reported_costs() == []
    assert proposals() == []


def test_what_is_not_sold_any_more_is_left_alone(purse: Purse) -> None:
    for _ in range(2):
        purse.job(actual=30)
    Price.objects.filter(**FAST._asdict()).delete()
    assert provider_price_changes.propose_from_reported_costs() == []


def test_a_proposal_ends_when_the_price_is_as_listed_again(purse: Purse) -> None:
    for _ in range(2):
        purse.job(actual=30)
    provider_price_changes.propose_from_reported_costs()
    for _ in range(2):
        purse.job(actual=60)
    assert provider_price_changes.propose_from_reported_costs() == []
    assert proposals() == [("dismissed", 30, 60, 2)]
    assert open_alerts() == []
    for _ in range(2):
        purse.job(actual=30)
    provider_price_changes.propose_from_reported_costs()
    assert [state for state, *_ in proposals()] == ["dismissed", "open"]


def test_a_further_change_takes_the_place_of_the_former(purse: Purse) -> None:
    for cost in (30, 30, 45, 45):
        purse.job(actual=cost)
        provider_price_changes.propose_from_reported_costs()
    assert proposals() == [("dismissed", 30, 60, 2), ("open", 45, 60, 2)]
    assert open_alerts() == [str(FAST)]


def test_applying_makes_a_new_price_from_now_on(purse: Purse, olga: User) -> None:
    for _ in range(2):
        purse.job(actual=30)
    (proposal,) = provider_price_changes.propose_from_reported_costs()
    purse.pass_(minutes=5)
    price = provider_price_changes.apply_proposal(proposal_id=proposal.pk, user_credits=60, actor=olga)
    assert (price.provider_credits, price.user_credits, price.valid_from) == (30, 60, purse.still.at)
    quote = prices.get_quote(model="veo3_fast", resolution="720p")
    assert (quote.provider_credits, quote.user_credits) == (30, 60)
    assert Price.objects.filter(**FAST._asdict()).count() == 2, "the former price stands in the history"
    proposal.refresh_from_db()
    assert (proposal.state, proposal.decided_by, proposal.decided_at) == ("applied", olga, purse.still.at)
    assert open_alerts() == []
    assert provider_price_changes.propose_from_reported_costs() == []
    with pytest.raises(provider_price_changes.AlreadyDecided):
        provider_price_changes.apply_proposal(proposal_id=proposal.pk, user_credits=60, actor=olga)
    assert Price.objects.filter(**FAST._asdict()).count() == 2


def test_what_was_put_aside_is_not_proposed_again_until_our_list_changes(purse: Purse, olga: User) -> None:
    for _ in range(2):
        purse.job(actual=30)
    (proposal,) = provider_price_changes.propose_from_reported_costs()
    provider_price_changes.dismiss_proposal(proposal_id=proposal.pk, actor=olga)
    assert open_alerts() == []
    assert provider_price_changes.propose_from_reported_costs() == []
    assert proposals() == [("dismissed", 30, 60, 2)]
    purse.pass_(minutes=1)
    provider_price_changes.set_price(item=FAST, provider_credits=Decimal(50), user_credits=60)
    for _ in range(2):
        purse.job(actual=30)
    assert len(provider_price_changes.propose_from_reported_costs()) == 1
    assert proposals()[1] == ("open", 30, 50, 2)
    with pytest.raises(provider_price_changes.AlreadyDecided):
        provider_price_changes.dismiss_proposal(proposal_id=proposal.pk, actor=olga)


def test_the_alert_stands_while_another_proposal_for_the_item_does(purse: Purse, olga: User) -> None:
    from_feed = propose(seen=40)
    for _ in range(2):
        purse.job(actual=30)
    provider_price_changes.propose_from_reported_costs()
    assert from_feed is not None
    provider_price_changes.dismiss_proposal(proposal_id=from_feed.pk, actor=olga)
    assert open_alerts() == [str(FAST)]
    assert provider_price_changes.withdraw_proposals(item=FAST, source=FEED) == 0


def test_what_was_ordered_at_the_former_price_says_nothing_about_the_new_one(purse: Purse) -> None:
    for _ in range(3):
        purse.job(actual=60)
    before = purse.send()
    purse.pass_(minutes=1)
    provider_price_changes.set_price(item=FAST, provider_credits=Decimal(80), user_credits=100)
    purse.end(before, actual=60)
    assert provider_price_changes.propose_from_reported_costs() == []
    for _ in range(2):
        purse.job(actual=60)
    assert len(provider_price_changes.propose_from_reported_costs()) == 1
    assert proposals() == [("open", 60, 80, 2)]


def test_what_is_seldom_sold_is_looked_at_however_much_else_is(purse: Purse) -> None:
    for _ in range(2):
        purse.job(actual=400, model="veo3")
    crowd = [purse.job() for _ in range(2)]
    for _ in range(6_000):
        crowd[0].pk, crowd[0].job_id = None, uuid4()
        crowd.append(copy(crowd[0]))
    Spend.objects.bulk_create(crowd[2:])
    (proposal,) = provider_price_changes.propose_from_reported_costs()
    assert (proposal.model, proposal.seen, proposal.listed, proposal.times) == ("veo3", 400, 250, 2)


def test_both_sources_of_one_price_are_one_proposal(purse: Purse) -> None:
    propose(seen=30)
    for _ in range(2):
        purse.job(actual=30)
    provider_price_changes.propose_from_reported_costs()
    assert PriceProposal.objects.get().source == "feed"


@pytest.mark.parametrize(
    ("user_credits", "listed", "seen", "kept"),
    [(60, 60, 30, 30), (90, 60, 30, 45), (60, 60, "37.5", 38), (50, "37.5", 60, 80), (1, 60, 1, 1)],
)
def test_keeping_the_margin_rounds_up(user_credits: int, listed: object, seen: object, kept: int) -> None:
    numbers = {"listed": Decimal(str(listed)), "seen": Decimal(str(seen))}
    assert provider_price_changes.user_credits_for_same_margin(user_credits=user_credits, **numbers) == kept


@pytest.mark.parametrize(("seen", "absurd"), [(60, False), (600, False), (601, True), (6, False), (5, True), (0, True)])
def test_prices_out_of_all_proportion_are_absurd(seen: int, absurd: bool) -> None:
    assert provider_price_changes.is_implausible(listed=Decimal(60), seen=Decimal(seen)) == absurd


# Margins


def test_a_margin_is_what_is_left_of_what_the_user_pays(settings: Settings) -> None:
    settings.USD_PER_PROVIDER_CREDIT = Decimal("0.005")
    settings.USD_PER_USER_CREDIT = Decimal("0.01")
    margin = margins.Margin(60, Decimal("37.5"))
    assert (margin.usd, margin.percent, margin.is_negative) == (Decimal("0.4125"), Decimal("68.75"), False)
    margin = margins.Margin(60, Decimal(150))
    assert (margin.usd, margin.percent, margin.is_negative) == (Decimal("-0.15"), Decimal(-25), True)


def test_where_user_credits_are_given_away_there_is_no_margin(settings: Settings) -> None:
    settings.USD_PER_USER_CREDIT = Decimal(0)
    margin = margins.Margin(60, Decimal(60))
    assert (margin.percent, margin.is_negative) == (None, False)
    assert margins.update_margin_alerts() == []
    assert open_alerts("negative_margin") == []


def test_a_price_below_its_cost_is_told_of_until_it_is_not(still: SetClock) -> None:
    provider_price_changes.set_price(item=FAST, provider_credits=Decimal(80), user_credits=60)
    (below,) = margins.update_margin_alerts()
    assert (below.model, below.user_credits) == ("veo3_fast", 60)
    assert open_alerts("negative_margin") == [str(FAST)]
    words = "Its user pays 60 credits and we pay 80 provider credits: a loss of 0.1 US$ with each video."
    assert Alert.objects.get().detail == words
    still.sleep(1)
    provider_price_changes.set_price(item=FAST, provider_credits=Decimal(80), user_credits=80)
    assert margins.update_margin_alerts() == []
    assert open_alerts("negative_margin") == []


def test_items_are_called_as_people_call_them() -> None:
    assert str(FAST) == "veo3_fast 720p generate"
    assert FAST.name == "Veo 3.1 Fast 720p · Video from text or frames"
    assert Item("veo9", "8k", "dream").name == "veo9 8k · dream"
    assert get_model_title("veo3_lite") == "Veo 3.1 Lite"

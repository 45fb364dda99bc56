"""Price proposals, prices, spend, provider entries and audit runs in the admin."""

from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.audit import runner as audit_runner
from billing.common.item_names import Item
from billing.models import Price, PriceProposal, ProviderEntry, Spend
from billing.pricing import prices, provider_price_changes
from tests.billing.admin.pages import PRICES, SPEND, list_cells, new_price, run_action
from tests.billing.simulated_provider import SimulatedProvider
from tests.clocks import ManualClock
from tests.jobs import job_id

pytestmark = pytest.mark.django_db
PROPOSALS = "/admin/billing/priceproposal/"
ENTRIES = "/admin/billing/providerentry/"
RUNS = "/admin/billing/booksrun/"
FAST = Item("veo3_fast", "720p", "generate")


@pytest.fixture
def proposal(db: None) -> PriceProposal:
    proposal = provider_price_changes.propose_price(
        item=FAST, listed=Decimal(60), seen=Decimal("37.5"), source=PriceProposal.Source.FEED
    )
    assert proposal is not None
    return proposal


def current_fast_price() -> tuple[Decimal, int]:
    quote = prices.get_quote(model="veo3_fast", resolution="720p")
    return quote.provider_credits, quote.user_credits


# Proposals


def test_a_proposal_is_listed_with_the_listed_and_the_actual_margin(staff: Client, proposal: PriceProposal) -> None:
    text = staff.get(PROPOSALS).text
    assert list_cells(text, "item") == ["Veo 3.1 Fast 720p · Video from text or frames"]
    assert list_cells(text, "state_chip") == ["Open"]
    assert (list_cells(text, "listed_cost"), list_cells(text, "seen_cost"), list_cells(text, "user_price")) == (
        ["60"],
        ["37.5"],
        ["60"],
    )
    assert list_cells(text, "listed_margin") == ["US$ 0.0000 (0 %)"]
    assert list_cells(text, "actual_margin") == ["+US$ 0.1125 (38 %)"]


@pytest.mark.parametrize(
    ("fields", "user_price"),
    [({"users": "price"}, 60), ({"users": "margin"}, 38), ({"users": "own", "user_credits": "50"}, 50)],
)
def test_a_proposal_is_applied_after_choosing_the_user_price(
    staff: Client, proposal: PriceProposal, olga: User, fields: dict[str, str], user_price: int
) -> None:
    confirmation = run_action(staff, PROPOSALS, "apply", proposal)
    assert (
        "our price is 60, the provider charges 37.5. Users pay 60; to keep the margin they would pay 38."
        in confirmation
    )
    assert current_fast_price() == (60, 60)
    done = run_action(staff, PROPOSALS, "apply", proposal, confirmed="yes", **fields)
    assert f"costs us 37.5 and users {user_price}: " in done
    assert current_fast_price() == (Decimal("37.5"), user_price)
    proposal.refresh_from_db()
    assert (proposal.state, proposal.decided_by) == ("applied", olga)
    assert LogEntry.objects.get().change_message == f"applied: 37.5000 and {user_price}"


@pytest.mark.parametrize("fields", [{"users": "own"}, {"users": "own", "user_credits": "0"}, {"users": "free"}, {}])
def test_an_incomplete_form_applies_nothing(staff: Client, proposal: PriceProposal, fields: dict[str, str]) -> None:
    assert "errorlist" in run_action(staff, PROPOSALS, "apply", proposal, confirmed="yes", **fields)
    assert current_fast_price() == (60, 60)


def test_a_price_below_its_cost_is_applied_with_a_warning(staff: Client, db: None) -> None:
    proposal = provider_price_changes.propose_price(
        item=FAST, listed=Decimal(60), seen=Decimal(90), source=PriceProposal.Source.FEED
    )
    done = run_action(staff, PROPOSALS, "apply", proposal, confirmed="yes", users="price")
    assert 'class="warning"' in done
    assert "−US$ 0.1500 (−50 %)" in done


def test_a_proposal_for_an_item_no_longer_sold_can_be_decided(staff: Client, proposal: PriceProposal) -> None:
    Price.objects.filter(**FAST._asdict()).delete()
    text = staff.get(PROPOSALS).text
    assert (list_cells(text, "user_price"), list_cells(text, "actual_margin")) == (["–"], ["–"])
    assert "Users pay –; to keep the margin they would pay –." in run_action(staff, PROPOSALS, "apply", proposal)
    run_action(staff, PROPOSALS, "apply", proposal, confirmed="yes", users="margin")
    assert current_fast_price() == (Decimal("37.5"), 38)


def test_a_proposal_is_dismissed_after_confirmation(staff: Client, proposal: PriceProposal, olga: User) -> None:
    assert "Keep our price?" in run_action(staff, PROPOSALS, "dismiss", proposal)
    assert "Dismissed: Veo 3.1 Fast 720p" in run_action(staff, PROPOSALS, "dismiss", proposal, confirmed="yes")
    proposal.refresh_from_db()
    assert (proposal.state, proposal.decided_by) == ("dismissed", olga)
    for action in ("apply", "dismiss"):
        assert "Only open proposals can be decided." in run_action(staff, PROPOSALS, action, proposal, confirmed="yes")
    assert current_fast_price() == (60, 60)


@pytest.mark.parametrize(("action", "name"), [("apply", "apply_proposal"), ("dismiss", "dismiss_proposal")])
def test_a_proposal_decided_by_another_operator_is_not_changed(
    staff: Client, proposal: PriceProposal, monkeypatch: pytest.MonkeyPatch, action: str, name: str
) -> None:
    def raise_already_decided(**_: object) -> None:
        raise provider_price_changes.AlreadyDecided

    monkeypatch.setattr(provider_price_changes, name, raise_already_decided)
    assert "has already been decided" in run_action(staff, PROPOSALS, action, proposal, confirmed="yes", users="price")


def test_deciding_needs_the_permission_to_add_prices(clerk, proposal: PriceProposal) -> None:  # type: ignore[no-untyped-def]
    staff = clerk("view_priceproposal")
    assert list_cells(staff.get(PROPOSALS).text, "state_chip") == ["Open"]
    run_action(staff, PROPOSALS, "apply", proposal, confirmed="yes", users="price")
    assert current_fast_price() == (60, 60)


# Prices and spend


def test_a_new_price_shows_its_margin(staff: Client) -> None:
    text = new_price(staff)
    assert "Veo 3.1 Fast 720p · Video from text or frames has a margin of +US$ 0.0625 (25 %) per video." in text
    text = new_price(staff, provider_credits="70", model="veo3_lite")
    assert "costs more than users pay: −US$ 0.1000 (−40 %) per video." in text
    assert 'class="chip chip-warn num nowrap">−US$ 0.1000 (−40 %)' in staff.get(PRICES).text


def test_the_form_shows_model_names_and_the_break_even_price(staff: Client, settings: Settings) -> None:
    text = staff.get(f"{PRICES}add/", {"provider_credits": "37.5", "model": "veo3_fast"}).text
    assert '<option value="veo3_fast" selected>Veo 3.1 Fast</option>' in text
    assert "From 38 credits on, 37.5 provider credits are paid for." in text
    assert "are paid for" not in staff.get(f"{PRICES}add/").text
    settings.USD_PER_USER_CREDIT = Decimal(0)
    assert "are paid for" not in staff.get(f"{PRICES}add/", {"provider_credits": "37.5"}).text
    assert "US$ 0.0000</span>" not in text


def test_without_a_price_of_user_credits_no_percentage_is_shown(staff: Client, settings: Settings) -> None:
    settings.USD_PER_USER_CREDIT = Decimal(0)
    assert "has a margin of −US$ 0.1875 per video." in new_price(staff)


def test_models_without_a_name_stay_on_the_list(staff: Client) -> None:
    Price.objects.create(model="veo9", resolution="8k", provider_credits=1, user_credits=1)
    assert "veo9 8k" in staff.get(PRICES, {"model": "veo9"}).text
    assert '<option value="veo9">veo9</option>' in staff.get(f"{PRICES}add/").text


def test_spend_shows_the_difference_from_the_estimate_and_is_filtered_by_it(
    staff: Client, manual_clock: ManualClock, alice: User
) -> None:
    provider = SimulatedProvider(manual_clock, alice)
    for cost in ("60", "37.5", "65"):
        provider.run_job(actual=cost)
    provider.send_job()
    assert list_cells(staff.get(SPEND).text, "cost_difference") == ["–", "+5", "−22.5", "0"]
    assert list_cells(staff.get(SPEND, {"variance": "dearer"}).text, "cost_difference") == ["+5"]
    assert list_cells(staff.get(SPEND, {"variance": "cheaper"}).text, "cost_difference") == ["−22.5"]
    assert list_cells(staff.get(SPEND, {"variance": "same"}).text, "cost_difference") == ["0"]
    assert list_cells(staff.get(SPEND, {"model": "veo3"}).text, "cost_difference") == []
    assert list_cells(staff.get(SPEND).text, "item")[0] == "Veo 3.1 Fast 720p"
    assert Spend.objects.count() == 4


# Provider entries and audit runs


def test_provider_entries_and_runs_are_read_only(
    staff: Client, manual_clock: ManualClock, alice: User, olga: User
) -> None:
    provider = SimulatedProvider(manual_clock, alice)
    snapshot = provider.read_balance()
    fields = {"account": provider.account, "happened_at": snapshot.taken_at}
    ProviderEntry.objects.create(kind="top_up", amount=1000, reason="It rose", idempotency_key="1", **fields)
    ProviderEntry.objects.create(
        kind="correction", amount=Decimal("-12.5"), reason="Playground", actor=olga, idempotency_key="2",
        job_id=job_id("job:1"), **fields,
    )  # fmt: skip
    text = staff.get(ENTRIES).text
    assert list_cells(text, "signed_amount") == ["−12.5", "+1,000"]
    assert list_cells(text, "reason_text") == ["Playground", "It rose"]
    assert list_cells(text, "operator") == ["olga@example.com", "–"]
    assert list_cells(text, "kind_chip") == ["Correction", "Top-up"]
    audit_runner.run_audit()
    assert list_cells(staff.get(RUNS).text, "verdict") == ["Balance"]
    Price.objects.all().delete()
    for url in (ENTRIES, RUNS, PROPOSALS):
        assert staff.get(f"{url}add/").status_code == 403

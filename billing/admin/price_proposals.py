"""The admin of price proposals: prices that the provider seems to have changed. An operator applies or dismisses them.

`proposal.listed` is the provider cost in our price list, `proposal.seen` what the provider seems to charge now.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.admin.base import ReadOnlyAdmin, acting_operator, ask_confirmation
from billing.admin.cells import chip, number_cell, time_cell
from billing.admin.filters import ModelFilter
from billing.admin.prices import format_margin, margin_chip
from billing.common.formatting import format_amount
from billing.common.item_names import Item
from billing.models import PriceProposal
from billing.pricing import prices, provider_price_changes
from billing.pricing.margins import Margin

TONES = {PriceProposal.State.OPEN: "warn", PriceProposal.State.APPLIED: "good", PriceProposal.State.DISMISSED: ""}
KEEP_PRICE, KEEP_MARGIN, OTHER_PRICE = "price", "margin", "own"


class UserPriceForm(forms.Form):
    """What users pay once the provider's new price applies."""

    users = forms.ChoiceField(
        label=gettext_lazy("What users pay"),
        widget=forms.RadioSelect,
        initial=KEEP_PRICE,
        choices=[
            (KEEP_PRICE, gettext_lazy("Unchanged: the margin changes")),
            (KEEP_MARGIN, gettext_lazy("Adjusted to keep the margin")),
            (OTHER_PRICE, gettext_lazy("This many credits:")),
        ],
    )
    user_credits = forms.IntegerField(
        label=gettext_lazy("User credits"), required=False, min_value=1, max_value=2_000_000_000
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if (
            cleaned.get("users") == OTHER_PRICE
            and "user_credits" not in self.errors
            and not cleaned.get("user_credits")
        ):
            self.add_error("user_credits", _("Enter the number of credits."))
        return cleaned


@dataclass(frozen=True)
class ProposalLine:
    """One line of the confirmation page: the id and the text of a proposal."""

    pk: int
    text: str

    def __str__(self) -> str:
        return self.text


@admin.register(PriceProposal)
class PriceProposalAdmin(ReadOnlyAdmin):
    """The list of proposals, each with the cost in our price list next to what the provider charges now."""

    list_display = (
        "item",
        "state_chip",
        "listed_cost",
        "seen_cost",
        "user_price",
        "listed_margin",
        "actual_margin",
        "source",
        "times",
        "last_noticed",
    )
    list_display_links = None
    list_filter = ("state", "source", ModelFilter)
    ordering = ("state", "-last_at")
    actions = ("apply", "dismiss")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Whether the operator may add prices, because applying a proposal adds one."""
        return request.user.has_perm("billing.add_price")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PriceProposal]:
        # Open proposals come first.
        return super().get_queryset(request).order_by("decided_at", "-last_at")

    @admin.display(description=gettext_lazy("item"))
    def item(self, proposal: PriceProposal) -> str:
        return proposal_item(proposal).name

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_chip(self, proposal: PriceProposal) -> SafeString:
        return chip(proposal.get_state_display(), TONES[PriceProposal.State(proposal.state)])

    @admin.display(description=gettext_lazy("our list"), ordering="listed")
    def listed_cost(self, proposal: PriceProposal) -> SafeString:
        return number_cell(format_amount(proposal.listed))

    @admin.display(description=gettext_lazy("the provider"), ordering="seen")
    def seen_cost(self, proposal: PriceProposal) -> SafeString:
        return number_cell(format_amount(proposal.seen))

    @admin.display(description=gettext_lazy("users pay"))
    def user_price(self, proposal: PriceProposal) -> SafeString:
        return number_cell(current_user_price(proposal) or "–")

    @admin.display(description=gettext_lazy("listed margin"))
    def listed_margin(self, proposal: PriceProposal) -> SafeString:
        return self._margin_cell(proposal, proposal.listed)

    @admin.display(description=gettext_lazy("actual margin"))
    def actual_margin(self, proposal: PriceProposal) -> SafeString:
        return self._margin_cell(proposal, proposal.seen)

    def _margin_cell(self, proposal: PriceProposal, cost: Decimal | None) -> SafeString:
        user_price = current_user_price(proposal)
        return number_cell("–") if user_price is None or cost is None else margin_chip(Margin(user_price, cost))

    @admin.display(description=gettext_lazy("last at"), ordering="last_at")
    def last_noticed(self, proposal: PriceProposal) -> SafeString | str:
        return time_cell(proposal.last_at)

    @admin.action(description=gettext_lazy("Apply…"), permissions=["decide"])
    def apply(self, request: HttpRequest, queryset: QuerySet[PriceProposal]) -> HttpResponse | None:
        """Ask for the user price, then apply the provider's price."""
        proposals = list(queryset.filter(state=PriceProposal.State.OPEN))
        if not proposals:
            self._warn_none_open(request)
            return None
        confirmed = "confirmed" in request.POST
        form = UserPriceForm(request.POST if confirmed else None)
        if not (confirmed and form.is_valid()):
            return ask_confirmation(
                self,
                request,
                action="apply",
                title=_("Apply the provider's price?"),
                text=_("The new price applies from now on. Earlier orders keep their price."),
                button=_("Apply"),
                rows=[ProposalLine(proposal.pk, _describe_proposal(proposal)) for proposal in proposals],
                form=form,
            )
        for proposal in proposals:
            self._apply(request, proposal, form.cleaned_data)
        return None

    @admin.action(description=gettext_lazy("Dismiss…"), permissions=["decide"])
    def dismiss(self, request: HttpRequest, queryset: QuerySet[PriceProposal]) -> HttpResponse | None:
        """Keep our price after confirmation, and log the decision."""
        proposals = list(queryset.filter(state=PriceProposal.State.OPEN))
        if not proposals:
            self._warn_none_open(request)
            return None
        if "confirmed" not in request.POST:
            return ask_confirmation(
                self,
                request,
                action="dismiss",
                title=_("Keep our price?"),
                text=_("The same price is not proposed again until our price changes."),
                button=_("Dismiss"),
                rows=[ProposalLine(proposal.pk, _describe_proposal(proposal)) for proposal in proposals],
            )
        for proposal in proposals:
            try:
                provider_price_changes.dismiss_proposal(proposal_id=proposal.pk, actor=acting_operator(request))
            except provider_price_changes.AlreadyDecided:
                self._warn_already_decided(request, proposal)
            else:
                self.log_change(request, proposal, "dismissed")
                self.message_user(request, _("Dismissed: %(item)s.") % {"item": proposal_item(proposal).name})
        return None

    def _apply(self, request: HttpRequest, proposal: PriceProposal, cleaned: dict[str, Any]) -> None:
        user_prices = {
            KEEP_PRICE: current_user_price(proposal),
            KEEP_MARGIN: price_keeping_margin(proposal),
            OTHER_PRICE: cleaned["user_credits"],
        }
        try:
            price = provider_price_changes.apply_proposal(
                proposal_id=proposal.pk,
                # An item that is no longer sold has no current price.
                user_credits=user_prices[cleaned["users"]] or max(1, round(proposal.seen)),
                actor=acting_operator(request),
            )
        except provider_price_changes.AlreadyDecided:
            self._warn_already_decided(request, proposal)
            return
        self.log_change(request, proposal, f"applied: {price.provider_credits:f} and {price.user_credits}")
        margin = Margin(price.user_credits, price.provider_credits)
        facts = {
            "item": proposal_item(proposal).name,
            "cost": format_amount(price.provider_credits),
            "pays": price.user_credits,
            "margin": format_margin(margin),
        }
        text = _("From now on %(item)s costs us %(cost)s and users %(pays)s: %(margin)s per video.") % facts
        self.message_user(request, text, messages.WARNING if margin.is_negative else messages.SUCCESS)

    def _warn_none_open(self, request: HttpRequest) -> None:
        self.message_user(request, _("Only open proposals can be decided."), messages.WARNING)

    def _warn_already_decided(self, request: HttpRequest, proposal: PriceProposal) -> None:
        text = _("%(item)s has already been decided.") % {"item": proposal_item(proposal).name}
        self.message_user(request, text, messages.WARNING)


def proposal_item(proposal: PriceProposal) -> Item:
    return Item(proposal.model, proposal.resolution, proposal.kind)


def current_user_price(proposal: PriceProposal) -> int | None:
    """What users pay for the item now; None if it is not sold."""
    try:
        quote = prices.get_quote(model=proposal.model, resolution=proposal.resolution, kind=proposal.kind)
    except prices.NoPrice:
        return None
    return quote.user_credits


def price_keeping_margin(proposal: PriceProposal) -> int | None:
    """The user price that keeps the margin at the new cost; None without a current price or a listed cost."""
    user_price = current_user_price(proposal)
    if user_price is None or not proposal.listed:
        return None
    return provider_price_changes.user_credits_for_same_margin(
        user_credits=user_price, listed=proposal.listed, seen=proposal.seen
    )


def _describe_proposal(proposal: PriceProposal) -> str:
    """The proposal in one line."""
    facts = {
        "item": proposal_item(proposal).name,
        "listed": format_amount(proposal.listed),
        "seen": format_amount(proposal.seen),
        "pays": current_user_price(proposal) or "–",
        "would": price_keeping_margin(proposal) or "–",
    }
    return (
        _(
            "%(item)s: our price is %(listed)s, the provider charges %(seen)s. "
            "Users pay %(pays)s; to keep the margin they would pay %(would)s."
        )
        % facts
    )

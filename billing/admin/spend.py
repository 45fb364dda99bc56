"""Lists, read-only, the cost of jobs and every paid call (a request to the provider that may cost credits)."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from billing.admin.base import ReadOnlyAdmin
from billing.admin.cells import chip, link_account, link_reference, link_user, number_cell, time_cell
from billing.admin.filters import ItemKindFilter, ModelFilter, VarianceFilter
from billing.common.formatting import format_amount, format_signed
from billing.common.item_names import get_model_title
from billing.models import PaidCall, Spend

SPEND_TONES = {Spend.State.ESTIMATED: "", Spend.State.PROMISED: "info", Spend.State.SETTLED: "good"}
CALL_TONES = {
    PaidCall.Outcome.IN_FLIGHT: "info",
    PaidCall.Outcome.ACCEPTED: "good",
    PaidCall.Outcome.REFUSED: "",
    PaidCall.Outcome.NOT_SENT: "",
    PaidCall.Outcome.UNCONFIRMED: "warn",
}


class JobSearchAdmin(ReadOnlyAdmin):
    """A list of rows that belong to jobs. The search accepts references such as `video:<id>` as well as plain ids."""

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        job = search_term.strip().removeprefix("video:").removeprefix("job:")
        return super().get_search_results(request, queryset, job)


@admin.register(Spend)
class SpendAdmin(JobSearchAdmin):
    """What each job costs us in provider credits, at the price in force when it was ordered.

    The cost is estimated at first, promised (reserved) while the job is sent, and settled once it is known.
    """

    list_display = (
        "at",
        "reference_link",
        "user_link",
        "item",
        "status",
        "estimated_cost",
        "actual_cost",
        "cost_difference",
        "basis",
        "usd",
        "account_link",
    )
    list_display_links = ("at",)
    list_filter = (VarianceFilter, "state", "basis", ModelFilter, "resolution", ItemKindFilter, "created_at")
    list_select_related = ("user", "account")
    ordering = ("-id",)
    search_fields = ("user__email", "job_id")
    search_help_text = _("An e-mail address or a reference")

    @admin.display(description=_("estimated at"), ordering="created_at")
    def at(self, spend: Spend) -> SafeString | str:
        return time_cell(spend.created_at)

    @admin.display(description=_("reference"), ordering="job_id")
    def reference_link(self, spend: Spend) -> SafeString | str:
        return link_reference(f"job:{spend.job_id}")

    @admin.display(description=_("user"), ordering="user__email")
    def user_link(self, spend: Spend) -> SafeString:
        return link_user(spend.user)

    @admin.display(description=_("item"))
    def item(self, spend: Spend) -> str:
        return f"{get_model_title(spend.model)} {spend.resolution}"

    @admin.display(description=_("state"), ordering="state")
    def status(self, spend: Spend) -> SafeString:
        return chip(spend.get_state_display(), SPEND_TONES[Spend.State(spend.state)])

    @admin.display(description=_("estimated"), ordering="estimated")
    def estimated_cost(self, spend: Spend) -> SafeString:
        return number_cell(format_amount(spend.estimated))

    @admin.display(description=_("actual"), ordering="actual")
    def actual_cost(self, spend: Spend) -> SafeString:
        return number_cell(format_amount(spend.actual))

    @admin.display(description=_("difference"))
    def cost_difference(self, spend: Spend) -> SafeString:
        """The actual cost minus the estimate."""
        if spend.difference is None:
            return number_cell("–")
        tone = "warn" if spend.difference > 0 else "good" if spend.difference < 0 else "muted"
        text = format_signed(spend.difference)
        return format_html('<span class="num nowrap text-{}">{}</span>', tone, text)

    @admin.display(description=_("in US$"))
    def usd(self, spend: Spend) -> SafeString:
        cost = spend.estimated if spend.actual is None else spend.actual
        return number_cell(f"{cost * spend.usd_per_credit:.4f}")

    @admin.display(description=_("account"))
    def account_link(self, spend: Spend) -> SafeString | str:
        return link_account(spend.account)


@admin.register(PaidCall)
class PaidCallAdmin(JobSearchAdmin):
    """Every request that may cost credits, recorded before it is sent."""

    list_display = ("started", "reference_link", "result", "answered", "code", "detail", "account_link")
    list_display_links = ("started",)
    list_filter = ("outcome", "account", "started_at")
    list_select_related = ("spend", "account")
    ordering = ("-id",)
    search_fields = ("spend__job_id", "spend__user__email", "code")
    search_help_text = _("An e-mail address, a reference or a code")

    @admin.display(description=_("started at"), ordering="started_at")
    def started(self, call: PaidCall) -> SafeString | str:
        return time_cell(call.started_at)

    @admin.display(description=_("reference"))
    def reference_link(self, call: PaidCall) -> SafeString | str:
        return link_reference(f"job:{call.spend.job_id}")

    @admin.display(description=_("outcome"), ordering="outcome")
    def result(self, call: PaidCall) -> SafeString:
        return chip(call.get_outcome_display(), CALL_TONES[PaidCall.Outcome(call.outcome)])

    @admin.display(description=_("answered at"), ordering="answered_at")
    def answered(self, call: PaidCall) -> SafeString | str:
        return time_cell(call.answered_at)

    @admin.display(description=_("account"))
    def account_link(self, call: PaidCall) -> SafeString | str:
        return link_account(call.account)

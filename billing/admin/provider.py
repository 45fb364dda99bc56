"""The admin of provider accounts: their balance, why new videos wait, and the actions that pause and resume them.

The actions for keys are in `billing.admin.provider_keys`. Credits are *promised* (reserved) for a video that was sent
until its cost is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.seams import clock
from billing.admin import provider_status
from billing.admin.base import acting_operator, ask_confirmation, came_from_dashboard
from billing.admin.cells import chip, number_cell, time_cell
from billing.admin.provider_forms import PauseForm
from billing.admin.provider_keys import ProviderKeyAdmin, account_url, current_account_id
from billing.common.formatting import format_amount
from billing.guard import circuit_breaker
from billing.models import BalanceSnapshot, ProviderAccount
from billing.provider import accounts as provider_accounts

SNAPSHOTS_SHOWN = 50
CURVE_WIDTH, CURVE_HEIGHT = 600, 100


@dataclass(frozen=True)
class Button:
    """A list action offered as a button on the page of one account."""

    name: str
    label: str | Promise
    is_destructive: bool = False


@admin.register(ProviderAccount)
class ProviderAccountAdmin(ProviderKeyAdmin):
    """Provider accounts. The videos app extends this class with the actions that call the provider."""

    list_display = (
        "label",
        "role",
        "source",
        "state",
        "balance_cell",
        "balance_read_at",
        "promised_credits",
        "available_credits",
        "created_at",
    )
    list_filter = ("source",)
    actions: Any = ("pause", "resume", "activate", "deactivate")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("billing.add_provideraccount")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether the operator may use the actions, which needs the permission to change accounts."""
        return request.user.has_perm("billing.change_provideraccount")

    # Columns

    @admin.display(description=gettext_lazy("used for new videos"))
    def role(self, account: ProviderAccount) -> SafeString | str:
        return chip(_("This one"), "good") if account.pk == current_account_id() else "–"

    @admin.display(description=gettext_lazy("state"))
    def state(self, account: ProviderAccount) -> SafeString:
        return _state_chip(account)

    @admin.display(description=gettext_lazy("balance"), ordering="balance")
    def balance_cell(self, account: ProviderAccount) -> SafeString:
        return number_cell(format_amount(account.balance))

    @admin.display(description=gettext_lazy("read at"), ordering="balance_at")
    def balance_read_at(self, account: ProviderAccount) -> SafeString | str:
        return time_cell(account.balance_at)

    @admin.display(description=gettext_lazy("promised"))
    def promised_credits(self, account: ProviderAccount) -> SafeString:
        return number_cell(format_amount(provider_accounts.sum_promised(account.pk)))

    @admin.display(description=gettext_lazy("available"))
    def available_credits(self, account: ProviderAccount) -> SafeString:
        return number_cell(format_amount(provider_accounts.get_available_balance(account)))

    # Pages

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one account: balance, history, state and the possible actions."""
        account = self.get_object(request, object_id)
        if account is None:
            raise Http404
        if not self.has_view_permission(request, account):
            raise PermissionDenied
        snapshots = list(account.snapshots.order_by("-taken_at", "-pk")[:SNAPSHOTS_SHOWN])
        is_current = account.pk == current_account_id()
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": account,
            "title": account.label,
            "account": account,
            "is_current": is_current,
            "state": _state_chip(account),
            "balance": format_amount(account.balance),
            "promised": format_amount(provider_accounts.sum_promised(account.pk)),
            "available": format_amount(provider_accounts.get_available_balance(account)),
            "low": format_amount(settings.LOW_BALANCE_THRESHOLD),
            "critical": format_amount(settings.CRITICAL_BALANCE_THRESHOLD),
            "snapshots": [(row.taken_at, format_amount(row.balance), format_amount(row.promised)) for row in snapshots],
            "curve": _curve_points(snapshots),
            "curve_width": CURVE_WIDTH,
            "curve_height": CURVE_HEIGHT,
            "buttons": self.buttons(account) if self.has_operate_permission(request) else (),
            **provider_status.status_context(account, is_current=is_current),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/billing/account.html", context)

    def buttons(self, account: ProviderAccount) -> Sequence[Button]:
        """The actions that apply to this account now."""
        paused = account.is_paused_at(clock.database_now())
        buttons = [Button("resume", _("Resume…")) if paused else Button("pause", _("Pause…"), is_destructive=True)]
        if account.source == ProviderAccount.Source.ADMIN:
            buttons.append(
                Button("deactivate", _("Stop using…")) if account.is_active else Button("activate", _("Use this key…"))
            )
        return buttons

    # Actions

    @admin.action(description=gettext_lazy("Pause new videos…"), permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet[ProviderAccount]) -> HttpResponse | None:
        form = PauseForm(request.POST if "confirmed" in request.POST else None)
        accounts = list(queryset)
        if not form.is_valid():
            return ask_confirmation(
                self,
                request,
                action="pause",
                title=_("Pause new videos"),
                text=_("No new videos are sent, and orders are refused with your reason. Running videos continue."),
                button=_("Pause"),
                rows=accounts,
                form=form,
                is_destructive=True,
            )
        for account in accounts:
            provider_accounts.pause_account(
                account_id=account.pk, actor=acting_operator(request), **form.pause_arguments
            )
            account.refresh_from_db()
            reason = provider_accounts.format_pause_reason(account, settings.LANGUAGE_CODE)
            self.log_change(request, account, f"paused: {reason}")
            self.message_user(request, _("%(label)s: new videos are paused.") % {"label": account.label})
        return _redirect_after(accounts, request)

    @admin.action(description=gettext_lazy("Resume…"), permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[ProviderAccount]) -> HttpResponse | None:
        accounts = list(queryset)
        if "confirmed" not in request.POST:
            return ask_confirmation(
                self,
                request,
                action="resume",
                title=_("Resume new videos"),
                text=_("Orders are accepted again, and waiting videos are sent."),
                button=_("Resume"),
                rows=accounts,
            )
        for account in accounts:
            provider_accounts.resume_account(account_id=account.pk)
            self.log_change(request, account, "resumed")
            self.message_user(request, _("%(label)s: new videos have resumed.") % {"label": account.label})
        return _redirect_after(accounts, request)


def _redirect_after(accounts: list[ProviderAccount], request: HttpRequest | None = None) -> HttpResponse | None:
    """Redirect to the dashboard if the action started there, to the page of a single account, else to the list."""
    if request is not None and came_from_dashboard(request):
        return HttpResponseRedirect(reverse("admin:index"))
    return HttpResponseRedirect(account_url(accounts[0])) if len(accounts) == 1 else None


def _state_chip(account: ProviderAccount) -> SafeString:
    if account.is_paused_at(clock.database_now()):
        return chip(_("Paused"), "warn")
    if account.parked_as:
        return chip(account.get_parked_as_display(), "bad")
    if provider_accounts.is_critical(account):
        return chip(_("Critical balance"), "bad")
    if account.breaker != ProviderAccount.Breaker.CLOSED:
        return chip(_("Breaker: %(state)s") % {"state": account.get_breaker_display()}, "warn")
    if circuit_breaker.is_unreachable(account):
        return chip(_("Not reachable"), "warn")
    return chip(_("Working"), "good") if account.balance_at else chip(_("Not tested yet"))


def _curve_points(snapshots: Sequence[BalanceSnapshot]) -> str:
    """The points of the SVG line of the balance, oldest first; empty for fewer than two readings."""
    rows = list(reversed(snapshots))
    if len(rows) < 2:
        return ""
    start, duration_s = rows[0].taken_at, (rows[-1].taken_at - rows[0].taken_at).total_seconds() or 1.0
    highest = float(max(row.balance for row in rows)) or 1.0
    return " ".join(
        f"{(row.taken_at - start).total_seconds() / duration_s * CURVE_WIDTH:.1f},"
        f"{CURVE_HEIGHT - max(float(row.balance), 0.0) / highest * CURVE_HEIGHT:.1f}"
        for row in rows
    )

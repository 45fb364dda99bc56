"""Extends the admin of users by their credits and by the action that grants or removes credits."""

from datetime import date
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.admin.users import UserAdmin as BaseUserAdmin
from accounts.models import User
from accounts.seams import clock, randomness
from billing.admin.base import acting_operator, ask_confirmation
from billing.admin.cells import chip, list_url, number_cell, time_cell
from billing.admin.user_holds import HoldActions
from billing.common.formatting import format_signed
from billing.credits import ledger, lots
from billing.credits.lots import Holding
from billing.models import LedgerEntry

MAX_USERS = 200
MAX_LOTS_SHOWN = 20


class CreditsForm(forms.Form):
    """Amount, reason and expiry. `key` identifies the form, so that a form that is sent twice counts once."""

    amount = forms.IntegerField(
        label=gettext_lazy("Credits"),
        min_value=-ledger.MAX_ENTRY_AMOUNT,
        max_value=ledger.MAX_ENTRY_AMOUNT,
        help_text=gettext_lazy("For each user. A negative number removes credits."),
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=ledger.NOTE_LENGTH,
        help_text=gettext_lazy("Shown in the user's statement."),
    )
    last_day = forms.DateField(
        label=gettext_lazy("Until"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=gettext_lazy("The last day on which they can be used. Empty: they do not expire."),
    )
    key = forms.UUIDField(widget=forms.HiddenInput)

    def clean_amount(self) -> int:
        amount: int = self.cleaned_data["amount"]
        if amount == 0:
            raise forms.ValidationError(_("Give or remove at least one credit."))
        return amount

    def clean_last_day(self) -> date | None:
        last_day: date | None = self.cleaned_data["last_day"]
        if last_day and lots.end_of_day(last_day) <= clock.now():
            raise forms.ValidationError(_("That day is in the past."))
        if last_day and self.cleaned_data.get("amount", 0) < 0:
            raise forms.ValidationError(_("Only granted credits can have an expiry date."))
        return last_day


class UserAdmin(HoldActions, BaseUserAdmin):
    """The user admin of the app `accounts`, extended by balance, lots, ledger entries and holds on new videos."""

    list_display = ("email", "display_name", "balance", "is_active", "is_staff", "date_joined", "last_login")
    fieldsets: ClassVar[Any] = (
        BaseUserAdmin.fieldsets[0],
        (gettext_lazy("Credits"), {"fields": ("balance", "lots_list", "ledger_link")}),
        *BaseUserAdmin.fieldsets[1:],
    )
    readonly_fields: ClassVar[Any] = (*BaseUserAdmin.readonly_fields, "balance", "lots_list", "ledger_link")
    actions = ("move_credits", *HoldActions.HOLD_ACTIONS, *BaseUserAdmin.actions)
    change_form_template = "admin/billing/person.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        users: QuerySet[User] = super().get_queryset(request)
        return users.annotate(balance=Coalesce(F("credit_account__balance"), 0))

    def has_move_credits_permission(self, request: HttpRequest) -> bool:
        """Whether the operator may give or remove credits, which needs the permission to add ledger entries."""
        return request.user.has_perm("billing.add_ledgerentry")

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        context["may_move_credits"] = self.has_move_credits_permission(request)
        context["may_hold"] = self.has_hold_permission(request)
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description=gettext_lazy("balance"), ordering="balance")
    def balance(self, user: Any) -> SafeString:
        return number_cell(number_format(user.balance))

    @admin.display(description=gettext_lazy("lots"))
    def lots_list(self, user: User) -> SafeString | str:
        """The user's credits by expiry, in the order they are spent."""
        rows = [
            format_html("<li>{} {}</li>", number_cell(number_format(holding.user_credits)), _format_expiry(holding))
            for holding in lots.list_holdings(user)[:MAX_LOTS_SHOWN]
        ]
        if not rows:
            return "–"
        all_lots = list_url("billing_creditlot", account__user=user.pk)
        items = format_html("{}" * len(rows), *rows)
        return format_html('<ul role="list">{}</ul><a href="{}">{}</a>', items, all_lots, _("All lots"))

    @admin.display(description=gettext_lazy("ledger"))
    def ledger_link(self, user: User) -> SafeString:
        count = LedgerEntry.objects.filter(account__user=user).count()
        label = ngettext("%(n)d entry", "%(n)d entries", count) % {"n": count}
        return format_html('<a href="{}">{}</a>', list_url("billing_ledgerentry", account__user=user.pk), label)

    @admin.action(description=gettext_lazy("Give or remove credits…"), permissions=["move_credits"])
    def move_credits(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        """Change the credits of all selected users or of none, after asking for amount and reason."""
        users = list(queryset.filter(anonymised_at=None).order_by("pk")[: MAX_USERS + 1])
        if not users or len(users) > MAX_USERS:
            self.message_user(
                request, _("Choose 1 to %(n)d users with an open account.") % {"n": MAX_USERS}, messages.ERROR
            )
            return None
        form = CreditsForm(
            request.POST if "confirmed" in request.POST else None, initial={"key": randomness.new_uuid()}
        )
        if form.is_valid():
            try:
                self._change_credits(request, users, form.cleaned_data)
            except ledger.InsufficientCredits as error:
                message = _("One of these users has only %(balance)d credits; nothing was changed.")
                form.add_error("amount", message % {"balance": error.balance})
            except ledger.KeyReused:
                message = _("This form was already used for a different change. Nothing was changed; open it again.")
                self.message_user(request, message, messages.ERROR)
                return None
            else:
                return None
        return ask_confirmation(
            self,
            request,
            action="move_credits",
            title=_("Give or remove credits"),
            text=_("Each of these users gets an entry in their statement. It cannot be edited afterwards."),
            button=_("Change credits"),
            rows=users,
            form=form,
        )

    def _change_credits(self, request: HttpRequest, users: list[User], cleaned: dict[str, Any]) -> None:
        changed_users = []
        amount, last_day = cleaned["amount"], cleaned["last_day"]
        with transaction.atomic():
            for user in users:
                key = f"operator:{cleaned['key']}:{user.pk}"
                if not ledger.statement(user).filter(idempotency_key=key).exists():
                    changed_users.append(user)
                arguments = {"user_credits": amount, "note": cleaned["reason"], "actor": acting_operator(request)}
                if amount > 0:
                    expires_at = last_day and lots.end_of_day(last_day)
                    ledger.grant(user=user, idempotency_key=key, expires_at=expires_at, **arguments)
                else:
                    ledger.adjust(user=user, idempotency_key=key, **arguments)
            for user in changed_users:
                until = f", until {last_day}" if last_day else ""
                self.log_change(request, user, f"{amount:+d} credits{until}: {cleaned['reason']}")
        for user in users:
            facts = {
                "email": user.email,
                "amount": format_signed(amount),
                "balance": number_format(ledger.balance_of(user)),
            }
            if user in changed_users:
                message = _("%(amount)s credits for %(email)s: the balance is %(balance)s now.") % facts
            else:
                message = _("Already done for %(email)s: nothing was changed, the balance is %(balance)s.") % facts
            self.message_user(request, message, messages.SUCCESS)


def _format_expiry(holding: Holding) -> SafeString | str:
    text = format_html(_("until {}"), time_cell(holding.expires_at)) if holding.expires_at else _("no expiry")
    return format_html("{} {}", text, chip(_("Grace"), "info")) if holding.is_grace else text


admin.site.unregister(User)
admin.site.register(User, UserAdmin)

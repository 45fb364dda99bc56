"""Vouchers: creating codes, downloading them as CSV, withdrawing them, and who redeemed them."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import F, Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.seams import clock
from billing.admin.base import ReadOnlyAdmin, acting_operator, ask_confirmation
from billing.admin.cells import chip, link_user, list_url, number_cell, time_cell
from billing.common import csv_export
from billing.credits import ledger, lots, vouchers
from billing.models import Voucher, VoucherUse

MAX_WITHDRAWN = 1000
USES_SHOWN = 20


class VouchersForm(forms.ModelForm):  # type: ignore[type-arg]
    """The credits, uses and validity of new codes; the codes themselves are random."""

    number = forms.IntegerField(
        label=gettext_lazy("Number of codes"), min_value=1, max_value=vouchers.MAX_BATCH, initial=1
    )
    user_credits = forms.IntegerField(
        label=gettext_lazy("Credits"),
        min_value=1,
        max_value=ledger.MAX_ENTRY_AMOUNT,
        help_text=gettext_lazy("Per use."),
    )
    max_uses = forms.IntegerField(
        label=gettext_lazy("Uses per code"),
        min_value=1,
        max_value=1_000_000,
        initial=1,
        help_text=gettext_lazy("Each user can use a code once."),
    )
    last_day = forms.DateField(
        label=gettext_lazy("Valid until"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=gettext_lazy("That day included. Empty: no end date."),
    )
    credits_last_days = forms.IntegerField(
        label=gettext_lazy("Credits valid for (days)"),
        required=False,
        min_value=1,
        max_value=36_500,
        help_text=gettext_lazy("From the moment the code is used. Empty: they do not expire."),
    )

    class Meta:
        model = Voucher
        fields: ClassVar = ("number", "user_credits", "max_uses", "last_day", "credits_last_days", "note")

    def clean_last_day(self) -> Any:
        last_day = self.cleaned_data["last_day"]
        if last_day and lots.end_of_day(last_day) <= clock.now():
            raise forms.ValidationError(_("That day is in the past."))
        return last_day


class StateFilter(admin.SimpleListFilter):
    """Filter by state: usable, used up, expired or withdrawn."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(STATES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Voucher]) -> QuerySet[Voucher]:
        expired, used_up = Q(valid_until__lte=clock.now()), Q(uses=F("max_uses"))
        conditions = {
            "usable": Q(withdrawn_at=None) & ~expired & ~used_up,
            "used_up": Q(withdrawn_at=None) & used_up,
            "expired": Q(withdrawn_at=None) & expired & ~used_up,
            "withdrawn": Q(withdrawn_at__isnull=False),
        }
        condition = conditions.get(str(self.value()))
        return queryset if condition is None else queryset.filter(condition)


STATES = {
    "usable": gettext_lazy("Usable"),
    "used_up": gettext_lazy("Used up"),
    "expired": gettext_lazy("Expired"),
    "withdrawn": gettext_lazy("Withdrawn"),
}
TONES = {"usable": "good", "withdrawn": "bad"}


def voucher_state(voucher: Voucher) -> str:
    """The state of a voucher: one of the keys of STATES."""
    if voucher.withdrawn_at is not None:
        return "withdrawn"
    if voucher.uses >= voucher.max_uses:
        return "used_up"
    return "expired" if voucher.valid_until is not None and voucher.valid_until <= clock.now() else "usable"


@admin.register(Voucher)
class VoucherAdmin(ReadOnlyAdmin):
    """Vouchers are created and withdrawn, never edited, because users may already have the codes."""

    form = VouchersForm
    list_display = ("code_cell", "credits", "state", "uses_of_max", "until", "validity", "note", "created")
    list_display_links = ("code_cell",)
    list_filter = (StateFilter, "created_at")
    search_fields = ("code", "note", "redemptions__user__email")
    search_help_text = gettext_lazy("A code, words of the note, or the e-mail address of a user who redeemed it")
    actions = ("withdraw",)
    change_list_template = "admin/billing/vouchers.html"

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("billing.add_voucher")

    def has_withdraw_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_voucher")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        summary = ("code_cell", "credits", "state", "uses_of_max", "until", "validity", "note")
        detail = (*summary, "created_by", "created", "withdrawn_at", "redeemed_by")
        return self.form.Meta.fields if obj is None else detail

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.get_fields(request, obj)

    def get_urls(self) -> list[URLPattern]:
        csv_path = path("sheet/", self.admin_site.admin_view(self.download_csv), name="billing_voucher_sheet")
        return [csv_path, *super().get_urls()]

    def download_csv(self, request: HttpRequest) -> HttpResponseBase:
        """Stream the filtered list as CSV."""
        if not self.has_view_permission(request):
            return HttpResponse(status=403)
        listed: QuerySet[Voucher] = self.get_changelist_instance(request).get_queryset(request)
        rows: list[list[str | int]] = [
            [str(name) for name in (_("Code"), _("Credits"), _("Uses"), _("Used"), _("Until"), _("Note"))]
        ]
        rows += [_csv_row(voucher) for voucher in listed.iterator()]
        response = StreamingHttpResponse(csv_export.csv_lines(rows), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="vouchers-{timezone.localdate(clock.now())}.csv"'
        return response

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Offer one save button: saving always leads to the list, which shows the new codes."""
        context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Voucher, form: Any, change: bool) -> None:
        cleaned = form.cleaned_data
        created = vouchers.create_vouchers(
            number=cleaned["number"],
            user_credits=cleaned["user_credits"],
            max_uses=cleaned["max_uses"],
            valid_until=cleaned["last_day"] and lots.end_of_day(cleaned["last_day"]),
            credits_last_days=cleaned["credits_last_days"],
            note=cleaned["note"],
            actor=acting_operator(request),
        )
        # `obj` itself is never saved: it stands for the first code in the log entry and in `response_add`.
        obj.pk, obj.code, obj.created_at = created[0].pk, created[0].code, created[0].created_at

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        cleaned = form.cleaned_data
        return f"{cleaned['number']} vouchers for {cleaned['user_credits']} credits, {cleaned['max_uses']} uses each"

    def response_add(self, request: HttpRequest, obj: Voucher, post_url_continue: str | None = None) -> HttpResponse:
        """Redirect to the list of the codes just created."""
        # All codes of a batch have the same time of creation.
        same_batch = {"created_at": obj.created_at.isoformat()}
        count = Voucher.objects.filter(**same_batch).count()
        message = ngettext("%(n)d code created.", "%(n)d codes created. Copy or download them here.", count)
        self.message_user(request, message % {"n": count}, messages.SUCCESS)
        return redirect(list_url("billing_voucher", **same_batch))

    @admin.action(description=gettext_lazy("Withdraw…"), permissions=["withdraw"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Voucher]) -> HttpResponse | None:
        """Withdraw vouchers after confirmation. Users who redeemed one keep the credits."""
        selected = list(queryset.filter(withdrawn_at=None).order_by("pk")[: MAX_WITHDRAWN + 1])
        if not selected or len(selected) > MAX_WITHDRAWN:
            message = _("Choose 1 to %(n)d vouchers that are not withdrawn.") % {"n": MAX_WITHDRAWN}
            self.message_user(request, message, messages.ERROR)
            return None
        if "confirmed" not in request.POST:
            return ask_confirmation(
                self,
                request,
                action="withdraw",
                title=_("Withdraw vouchers"),
                text=_("These codes can no longer be used. Users who redeemed one keep the credits."),
                button=_("Withdraw"),
                rows=selected,
                is_destructive=True,
            )
        for voucher in selected:
            if vouchers.withdraw(voucher_id=voucher.pk):
                self.log_change(request, voucher, "withdrawn")
        count = len(selected)
        message = ngettext("%(n)d voucher withdrawn.", "%(n)d vouchers withdrawn.", count) % {"n": count}
        self.message_user(request, message, messages.SUCCESS)
        return None

    @admin.display(description=gettext_lazy("code"), ordering="code")
    def code_cell(self, voucher: Voucher) -> SafeString:
        return number_cell(voucher.code)

    @admin.display(description=gettext_lazy("credits"), ordering="user_credits")
    def credits(self, voucher: Voucher) -> SafeString:
        return number_cell(number_format(voucher.user_credits))

    @admin.display(description=gettext_lazy("state"))
    def state(self, voucher: Voucher) -> SafeString:
        state = voucher_state(voucher)
        return chip(STATES[state], TONES.get(state, ""))

    @admin.display(description=gettext_lazy("used"), ordering="uses")
    def uses_of_max(self, voucher: Voucher) -> SafeString:
        counts = {"used": number_format(voucher.uses), "most": number_format(voucher.max_uses)}
        return number_cell(_("%(used)s of %(most)s") % counts)

    @admin.display(description=gettext_lazy("valid until"), ordering="valid_until")
    def until(self, voucher: Voucher) -> SafeString | str:
        return time_cell(voucher.valid_until) if voucher.valid_until else _("no expiry")

    @admin.display(description=gettext_lazy("credits valid for"), ordering="credits_last_days")
    def validity(self, voucher: Voucher) -> str:
        days = voucher.credits_last_days
        return ngettext("%(n)d day", "%(n)d days", days) % {"n": days} if days else _("no expiry")

    @admin.display(description=gettext_lazy("created at"), ordering="created_at")
    def created(self, voucher: Voucher) -> SafeString | str:
        return time_cell(voucher.created_at)

    @admin.display(description=gettext_lazy("used by"))
    def redeemed_by(self, voucher: Voucher) -> SafeString | str:
        """The latest users of the code, and a link to all of them."""
        uses = list(voucher.redemptions.select_related("user")[:USES_SHOWN])
        if not uses:
            return _("Not used yet.")
        redemptions = format_html(
            "{}" * len(uses),
            *[format_html("<li>{} {}</li>", time_cell(use.used_at), link_user(use.user)) for use in uses],
        )
        all_uses_url = list_url("billing_voucheruse", voucher__id__exact=voucher.pk)
        return format_html('<ul role="list">{}</ul><a href="{}">{}</a>', redemptions, all_uses_url, _("Show all"))


@admin.register(VoucherUse)
class VoucherUseAdmin(ReadOnlyAdmin):
    """The redemptions of vouchers, read-only."""

    list_display = ("at", "user_link", "code", "credits")
    list_display_links = ("at",)
    list_select_related = ("voucher", "user", "entry")
    list_filter = ("used_at",)
    date_hierarchy = "used_at"
    search_fields = ("voucher__code", "user__email")
    fields = ("at", "user_link", "code", "credits")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields

    @admin.display(description=gettext_lazy("at"), ordering="used_at")
    def at(self, use: VoucherUse) -> SafeString | str:
        return time_cell(use.used_at)

    @admin.display(description=gettext_lazy("user"), ordering="user__email")
    def user_link(self, use: VoucherUse) -> SafeString:
        return link_user(use.user)

    @admin.display(description=gettext_lazy("voucher"), ordering="voucher__code")
    def code(self, use: VoucherUse) -> SafeString:
        url = list_url("billing_voucher") + f"{use.voucher_id}/change/"
        return format_html('<a class="num nowrap" href="{}">{}</a>', url, use.voucher.code)

    @admin.display(description=gettext_lazy("credits"))
    def credits(self, use: VoucherUse) -> SafeString:
        return number_cell(number_format(use.entry.amount))


def _csv_row(voucher: Voucher) -> list[str | int]:
    until = _format_csv_time(voucher.valid_until)
    return [voucher.code, voucher.user_credits, voucher.max_uses, voucher.uses, until, voucher.note]


def _format_csv_time(at: Any) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M}" if at else ""

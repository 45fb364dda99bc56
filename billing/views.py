"""The credits page: balance and expiry dates, the statement, and voucher codes."""

from typing import cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from accounts.rate_limits import client_address
from accounts.seams import clock
from billing.common import csv_export
from billing.credits import expired_lots, ledger, lots, vouchers
from billing.credits.statements import KIND_FILTERS, Statement
from billing.credits.vouchers import Reason

# This many holdings (credits that expire together) are shown one by one; the rest are shown as one sum.
MAX_HOLDINGS = 12

REFUSALS = {
    # Withdrawn codes are reported as unknown, so that guessing reveals nothing.
    Reason.UNKNOWN: gettext_lazy("This code is not valid. Check it against the one you received."),
    Reason.EXPIRED: gettext_lazy("This code has expired."),
    Reason.USED_UP: gettext_lazy("This code has no uses left."),
    Reason.USED_BEFORE: gettext_lazy("You have already used this code; its credits are in your statement."),
}


class VoucherForm(forms.Form):
    """A voucher code as typed by the user."""

    code = forms.CharField(
        label=gettext_lazy("Voucher code"),
        max_length=100,
        error_messages={"required": gettext_lazy("Enter a code.")},
        widget=forms.TextInput(
            attrs={
                "placeholder": "ABCD-EFGH-JKLM-NPQR",
                "autocomplete": "off",
                "autocapitalize": "characters",
                "spellcheck": "false",
            }
        ),
    )


@login_required
def credits(request: HttpRequest) -> HttpResponse:
    """Show the credits page; a POST redeems a voucher."""
    if request.method == "POST":
        return _redeem(request)
    return _render_page(request, VoucherForm())


@login_required
@require_safe
def statement_csv(request: HttpRequest) -> HttpResponseBase:
    """Stream the statement as CSV, with the filters of the page."""
    statement = Statement(cast(User, request.user), request.GET.dict())
    response = StreamingHttpResponse(csv_export.csv_lines(statement.rows()), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="credits-{timezone.localdate(clock.now())}.csv"'
    return response


@login_required
@require_POST
def hide_expiring(request: HttpRequest) -> HttpResponse:
    """Hide the notice about expiring credits. It returns for other credits, or when the user signs in again."""
    expiring = expired_lots.find_expiring_soon(cast(User, request.user))
    if expiring is not None:
        request.session[expired_lots.HIDDEN_SESSION_KEY] = expiring.key
    next_url = request.POST.get("next", "")
    return redirect(next_url if url_has_allowed_host_and_scheme(next_url, allowed_hosts=None) else "billing:credits")


def _redeem(request: HttpRequest) -> HttpResponse:
    """Redeem the posted voucher code, then redirect to the page; show the form again (422) if the code is refused."""
    form = VoucherForm(request.POST)
    if form.is_valid():
        user, code = cast(User, request.user), form.cleaned_data["code"]
        try:
            use = vouchers.redeem(user=user, typed=code, client=client_address(request))
        except vouchers.NotRedeemed as error:
            form.add_error("code", str(REFUSALS[error.reason]))
        except vouchers.TooManyWrongCodes as error:
            message = ngettext(
                "Too many codes that give nothing. Try again in %(minutes)d minute.",
                "Too many codes that give nothing. Try again in %(minutes)d minutes.",
                error.minutes,
            )
            form.add_error("code", message % {"minutes": error.minutes})
        else:
            amount = use.entry.amount
            message = ngettext("%(n)d credit added.", "%(n)d credits added.", amount) % {"n": amount}
            messages.success(request, message)
            return redirect("billing:credits")
    return _render_page(request, form, status=422)


def _render_page(request: HttpRequest, voucher_form: VoucherForm, status: int = 200) -> HttpResponse:
    user = cast(User, request.user)
    statement = Statement(user, request.GET.dict())
    entries, older_before = statement.page(before=request.GET.get("before", ""))
    holdings = lots.list_holdings(user)
    return render(
        request,
        "billing/credits.html",
        {
            "balance": ledger.balance_of(user),
            "holdings": holdings[:MAX_HOLDINGS],
            "later_credits": sum(holding.user_credits for holding in holdings[MAX_HOLDINGS:]),
            "expiring_before": clock.now() + expired_lots.WEEK,
            "entries": entries,
            "older_query": older_before and statement.query_string(before=str(older_before)),
            "has_newer": bool(request.GET.get("before")),
            "statement": statement,
            "query": statement.query_string(),
            "filters": [
                (statement.query_string(kind=kind), label, kind == statement.kind)
                for kind, (label, _kinds) in KIND_FILTERS.items()
            ],
            "voucher_form": voucher_form,
        },
        status=status,
    )

"""The purse: the balance by what expires when, every movement of it, and codes that fill it."""

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
from billing.credits import expiry, ledger, lots, vouchers
from billing.credits.statements import KINDS, Statement
from billing.credits.vouchers import Reason

# As many dates as a card shows.
MOST_HOLDINGS = 12

REFUSALS = {
    # The same for a code that never was and for one that was withdrawn: who guesses learns nothing.
    Reason.UNKNOWN: gettext_lazy("This code gives nothing. Compare it with the one you got, sign by sign."),
    Reason.EXPIRED: gettext_lazy("This code could be used only until a day that is over."),
    Reason.USED_UP: gettext_lazy("This code has been used as often as it may be."),
    Reason.USED_BEFORE: gettext_lazy("You have used this code already; its credits are in your statement."),
}


class VoucherForm(forms.Form):
    """A code as a person types it."""

    code = forms.CharField(
        label=gettext_lazy("Voucher code"),
        max_length=100,
        error_messages={"required": gettext_lazy("Type the code first.")},
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
    """The page; posting to it redeems a voucher."""
    if request.method == "POST":
        return _redeem(request)
    return _page(request, VoucherForm())


@login_required
@require_safe
def statement_sheet(request: HttpRequest) -> HttpResponseBase:
    """The statement as CSV, narrowed down as the page is."""
    statement = Statement(cast(User, request.user), request.GET.dict())
    answer = StreamingHttpResponse(csv_export.csv_lines(statement.rows()), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="credits-{timezone.localdate(clock.now())}.csv"'
    return answer


@login_required
@require_POST
def hide_expiring(request: HttpRequest) -> HttpResponse:
    """Put the line about credits that expire away, until other credits are next or the person signs in anew."""
    soon = expiry.soon(cast(User, request.user))
    if soon is not None:
        request.session[expiry.HIDDEN] = soon.name
    back = request.POST.get("next", "")
    return redirect(back if url_has_allowed_host_and_scheme(back, allowed_hosts=None) else "billing:credits")


def _redeem(request: HttpRequest) -> HttpResponse:
    form = VoucherForm(request.POST)
    if form.is_valid():
        user, code = cast(User, request.user), form.cleaned_data["code"]
        try:
            use = vouchers.redeem(user=user, typed=code, client=client_address(request))
        except vouchers.NotRedeemed as refused:
            form.add_error("code", str(REFUSALS[refused.reason]))
        except vouchers.TooManyWrongCodes as refused:
            words = ngettext(
                "Too many codes that give nothing. Try again in %(minutes)d minute.",
                "Too many codes that give nothing. Try again in %(minutes)d minutes.",
                refused.minutes,
            )
            form.add_error("code", words % {"minutes": refused.minutes})
        else:
            amount = use.entry.amount
            words = ngettext("%(n)d credit is yours.", "%(n)d credits are yours.", amount) % {"n": amount}
            messages.success(request, words)
            return redirect("billing:credits")
    return _page(request, form, status=422)


def _page(request: HttpRequest, voucher_form: VoucherForm, status: int = 200) -> HttpResponse:
    user = cast(User, request.user)
    statement = Statement(user, request.GET.dict())
    entries, older = statement.page(before=request.GET.get("before", ""))
    holdings = lots.held_by(user)
    return render(
        request,
        "billing/credits.html",
        {
            "balance": ledger.balance_of(user),
            "holdings": holdings[:MOST_HOLDINGS],
            "further": sum(holding.user_credits for holding in holdings[MOST_HOLDINGS:]),
            "soon_at": clock.now() + expiry.WEEK,
            "entries": entries,
            "older": older and statement.query(before=str(older)),
            "newest": bool(request.GET.get("before")),
            "statement": statement,
            "query": statement.query(),
            "filters": [
                (statement.query(kind=kind), label, kind == statement.kind) for kind, (label, _kinds) in KINDS.items()
            ],
            "voucher_form": voucher_form,
        },
        status=status,
    )

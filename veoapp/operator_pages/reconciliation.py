"""The page `/admin/reconciliation/`, which compares our spend, the provider's balance and the stored files.

Operators explain differences with its forms. A reading is a stored balance of the provider account; a comparison goes
from an opening reading to a closing one. A jump is a change between two readings that our books do not explain.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.seams import clock, randomness
from billing.audit import runner as audit_runner
from billing.common.form_fields import day_field, parse_row_number
from billing.common.formatting import format_amount, format_plain, format_signed
from billing.common.item_names import get_model_title
from billing.common.periods import day_window, site_zone, window_at
from billing.models import CreditAccount, Period, ProviderAccount, ProviderEntry, Spend
from billing.provider import accounts as provider_accounts
from billing.reconciliation import reconcile, top_ups
from billing.reconciliation.reconcile import Reconciliation
from veoapp.operator_pages import file_decisions
from veoapp.operator_pages.file_decisions import FileDecisionForm
from veoapp.operator_pages.reconciliation_text import (
    build_spend_row,
    describe_result,
    list_balance_lines,
    spends_url,
)
from videos.audit.paid_files import PaidFileComparison

PERIODS: dict[str, Promise] = {
    "day": gettext_lazy("Since yesterday"),
    "week": gettext_lazy("7 days"),
    "month": gettext_lazy("30 days"),
}
DAYS = {"day": 1, "week": 7, "month": 30}
MAX_DAYS = 92
ENTRIES_SHOWN, JUMPS_SHOWN = 50, 8
TONES = {
    ProviderEntry.Kind.TOP_UP: "good",
    ProviderEntry.Kind.RETURNED: "info",
    ProviderEntry.Kind.CORRECTION: "warn",
}


class PeriodForm(forms.Form):
    """The period to compare: from the start of the first day to the end of the last, in the site's time zone."""

    begin = day_field(gettext_lazy("From"), required=True)
    end = day_field(gettext_lazy("To"), required=True)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        if cleaned["begin"] > cleaned["end"]:
            self.add_error("end", _("The last day is before the first."))
        elif (cleaned["end"] - cleaned["begin"]).days >= MAX_DAYS:
            error = _("This is too long to compare at once: choose at most %(n)d days.") % {"n": MAX_DAYS}
            self.add_error("end", error)
        return cleaned


class CorrectionForm(forms.Form):
    """A correcting entry: how many credits left the balance or were added to it, and why.

    `key` is a new id in each form, so that a form sent twice records one correction.
    """

    amount = forms.DecimalField(
        label=gettext_lazy("Provider credits"),
        max_digits=14,
        decimal_places=4,
        help_text=gettext_lazy("Negative when credits left the balance, for example −12.5."),
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"), max_length=reconcile.REASON_LENGTH, widget=forms.Textarea(attrs={"rows": 2})
    )
    key = forms.UUIDField(widget=forms.HiddenInput)

    def clean_amount(self) -> Decimal:
        amount: Decimal = self.cleaned_data["amount"]
        if not amount:
            raise forms.ValidationError(_("Enter an amount other than zero."))
        return amount


def reconciliation_page(request: HttpRequest) -> HttpResponse:
    """Show the page; a POST records a correction or a decision about files, then redirects to the page."""
    if not request.user.has_perm("billing.view_providerentry"):
        raise PermissionDenied
    may_correct = request.user.has_perm("billing.add_providerentry")
    account = _find_account(request)
    period_form = PeriodForm(request.GET if request.GET.get("begin") or request.GET.get("end") else None)
    period_name = request.GET.get("stretch", "")  # a key of PERIODS
    since, until = _requested_period(period_name, period_form)
    reconciliation = reconcile.reconcile(account=account, since=since, until=until) if account else None
    files = _find_files(reconciliation) if reconciliation else None
    correction_form = decision_form = None
    is_about_files = "kind" in request.POST
    if reconciliation is not None and may_correct:
        sent = None if is_about_files else request.POST or None
        correction_form = CorrectionForm(sent, initial=_correction_defaults(reconciliation))
    if request.method == "POST":
        if correction_form is None or reconciliation is None or files is None:
            raise PermissionDenied
        if is_about_files:
            decision_form = file_decisions.parse_decision(request.POST, files)
            is_saved = _save_decision(request, decision_form)
        else:
            is_saved = correction_form.is_valid() and _save_correction(request, reconciliation, correction_form)
        if is_saved:
            return HttpResponseRedirect(request.get_full_path())
    return TemplateResponse(
        request,
        "admin/reconciliation.html",
        {
            **admin.site.each_context(request),
            "title": _("Reconciliation"),
            "accounts": ProviderAccount.objects.order_by("pk"),
            "account": account,
            "periods": [
                (
                    title,
                    f"?{urlencode({'stretch': name, 'account': account.pk if account else ''})}",
                    name == (period_name or "day"),
                )
                for name, title in PERIODS.items()
            ],
            "is_custom_period": period_form.is_bound,
            "period_form": period_form,
            "form": correction_form,
            "books": audit_runner.get_last_run(),
            **_build_comparison(reconciliation),
            **_build_files_context(files, decision_form, may_decide=may_correct),
        },
    )


def _build_comparison(reconciliation: Reconciliation | None) -> dict[str, Any]:
    """Return the part of the context that compares two readings; it is empty if there are fewer."""
    if reconciliation is None:
        return {"reconciliation": None}
    run = audit_runner.get_last_run()
    begin, end = reconciliation.opening.taken_at, reconciliation.closing.taken_at
    entries = reconcile.entries_between(account=reconciliation.account, after=begin, until=end).select_related("actor")
    is_measuring = _is_measuring(reconciliation)
    return {
        "reconciliation": reconciliation,
        "is_measuring": is_measuring,
        "result": describe_result(reconciliation, is_measuring=is_measuring),
        "lines": list_balance_lines(reconciliation),
        "jumps": [
            (jump.before.at, jump.after.at, format_signed(jump.amount))
            for jump in sorted(reconciliation.jumps, key=lambda jump: -abs(jump.amount))[:JUMPS_SHOWN]
        ],
        "settled": build_spend_row("", reconciliation.settled, spends_url(reconciliation)),
        "models": [build_spend_row(get_model_title(name), jobs) for name, jobs in reconciliation.by_model.items()],
        "bases": [
            build_spend_row(Spend.Basis(name).label, jobs, spends_url(reconciliation, basis__exact=name))
            for name, jobs in reconciliation.by_basis.items()
        ],
        "entries": [
            (entry, TONES[ProviderEntry.Kind(entry.kind)], format_signed(entry.amount))
            for entry in entries[:ENTRIES_SHOWN]
        ],
        "user_credits": CreditAccount.objects.aggregate(accounts=Count("pk"), credits=Sum("balance")),
        # I1: balances match their entries. I2: entries cannot be edited. See `billing.audit.checks`.
        "ledger_problems": [
            problem for problem in (run.first_problems if run else []) if problem["invariant"] in ("I1", "I2")
        ],
        "tolerance": format_amount(settings.UNEXPLAINED_TOLERANCE),
    }


def _find_files(reconciliation: Reconciliation) -> PaidFileComparison:
    begin, end = reconciliation.opening.taken_at, reconciliation.closing.taken_at
    return PaidFileComparison(account=reconciliation.account, after=begin, until=end, run=audit_runner.get_last_run())


def _build_files_context(
    files: PaidFileComparison | None, sent_form: FileDecisionForm | None, *, may_decide: bool
) -> dict[str, Any]:
    """Return the context about files: each difference with a form. The form that was sent keeps its values."""
    if files is None:
        return {}
    summary = files.summarize()
    forms_by_kind = {
        difference.kind: sent_form
        if sent_form is not None and sent_form.data["kind"] == difference.kind
        else FileDecisionForm(kind=difference.kind, references=file_decisions.list_references(difference))
        for difference in summary.differences
        if may_decide
    }
    return {
        "files": summary,
        "differences": [(difference, forms_by_kind.get(difference.kind)) for difference in summary.differences],
    }


def _find_account(request: HttpRequest) -> ProviderAccount | None:
    """Return the requested account. Without one, return the account of new videos, or else the newest account."""
    account_id = parse_row_number(request.GET.get("account", ""))
    if account_id is not None and (account := ProviderAccount.objects.filter(pk=account_id).first()):
        return account
    try:
        return provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        return ProviderAccount.objects.order_by("pk").last()


def _requested_period(name: str, form: PeriodForm) -> tuple[datetime, datetime]:
    """Return the start and end of the period from the form, or without valid dates those of the named period."""
    at = clock.database_now()
    if form.is_bound and form.is_valid():
        begin: date = form.cleaned_data["begin"]
        end: date = form.cleaned_data["end"]
        return day_window(begin).starts_at, min(day_window(end).ends_at, at)
    today = window_at(Period.DAY, at).starts_at.astimezone(site_zone()).date()
    return day_window(today - timedelta(days=DAYS.get(name, 1))).starts_at, at


def _correction_defaults(reconciliation: Reconciliation) -> dict[str, Any]:
    """Return initial values: a new key, and the whole difference as the amount unless no correction is needed."""
    needs_no_correction = reconciliation.is_explained or _is_measuring(reconciliation)
    amount = None if needs_no_correction else format_plain(reconciliation.unexplained)
    return {"amount": amount, "key": randomness.new_uuid()}


def _is_measuring(reconciliation: Reconciliation) -> bool:
    """Return whether a top-up is being measured. It is recorded automatically; a correction would count it twice."""
    return not reconciliation.has_missing_credits and bool(top_ups.list_unrecorded_rises(reconciliation))


def _save_correction(request: HttpRequest, reconciliation: Reconciliation, form: CorrectionForm) -> bool:
    """Record the correction. Returns False, with an error on the form, if its key was used for another amount."""
    try:
        entry = reconcile.record_correction(
            account_id=reconciliation.account.pk,
            amount=form.cleaned_data["amount"],
            reason=form.cleaned_data["reason"],
            actor=_current_operator(request),
            idempotency_key=str(form.cleaned_data["key"]),
            happened_at=reconciliation.correction_time,
            snapshot_id=reconciliation.largest_jump.after.pk
            if reconciliation.largest_jump
            else reconciliation.closing.pk,
        )
    except reconcile.KeyReused:
        form.add_error(None, _("This form was already used for another amount. Reload the page."))
        return False
    LogEntry.objects.log_actions(entry.actor_id or 0, [entry], ADDITION, f"{entry.amount:+f}: {entry.reason}")
    messages.success(request, _("Correction saved: %(amount)s credits.") % {"amount": format_signed(entry.amount)})
    return True


def _save_decision(request: HttpRequest, form: FileDecisionForm) -> bool:
    """Record the decision about files. Returns False if the form is invalid; errors then appear on the page."""
    if form.is_valid():
        count = file_decisions.record_decision(form, _current_operator(request))
        messages.success(request, file_decisions.format_result(count))
        return True
    for error in form.errors.get("references", ()):
        messages.error(request, str(error))
    return False


def _current_operator(request: HttpRequest) -> User:
    """Return the signed-in user; the operators' site admits no one else."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user

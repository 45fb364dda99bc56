"""`/admin/reconciliation/`: our spend, the provider's balance and the files, side by side, and what differs answered."""

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
from billing.common.formatting import format_amount, format_plain
from billing.common.item_names import get_model_title
from billing.common.periods import day_window, site_zone, window_at
from billing.models import CreditAccount, Period, ProviderAccount, ProviderEntry, Spend
from billing.provider import accounts as provider_accounts
from billing.reconciliation import reconcile, top_ups
from billing.reconciliation.reconcile import Reconciliation
from veoapp.operator_pages import file_decisions
from veoapp.operator_pages.file_decisions import FileAnswerForm
from veoapp.operator_pages.reconciliation_text import reckoning, row, signed, spends_url, verdict
from videos.audit.paid_files import Files

STRETCHES: dict[str, Promise] = {
    "day": gettext_lazy("Since yesterday"),
    "week": gettext_lazy("7 days"),
    "month": gettext_lazy("30 days"),
}
DAYS = {"day": 1, "week": 7, "month": 30}
MOST_DAYS = 92
ENTRIES_SHOWN = 50
TONES = {
    ProviderEntry.Kind.TOP_UP: "good",
    ProviderEntry.Kind.RETURNED: "info",
    ProviderEntry.Kind.CORRECTION: "warn",
}


class StretchForm(forms.Form):
    """From the first day's beginning to the last day's end, on the site's clock."""

    begin = day_field(gettext_lazy("From"), required=True)
    end = day_field(gettext_lazy("To"), required=True)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.errors:
            return given
        if given["begin"] > given["end"]:
            self.add_error("end", _("It ends before it begins."))
        elif (given["end"] - given["begin"]).days >= MOST_DAYS:
            words = _("These are too many days to compare at once: choose at most %(n)d.") % {"n": MOST_DAYS}
            self.add_error("end", words)
        return given


class CorrectionForm(forms.Form):
    """A compensating entry: what left the balance, or came, and why."""

    amount = forms.DecimalField(
        label=gettext_lazy("Provider credits"),
        max_digits=14,
        decimal_places=4,
        help_text=gettext_lazy("Below zero when they left, as −12.5."),
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"), max_length=reconcile.REASON_LENGTH, widget=forms.Textarea(attrs={"rows": 2})
    )
    key = forms.UUIDField(widget=forms.HiddenInput)

    def clean_amount(self) -> Decimal:
        amount: Decimal = self.cleaned_data["amount"]
        if not amount:
            raise forms.ValidationError(_("An entry of nothing answers nothing."))
        return amount


def page(request: HttpRequest) -> HttpResponse:
    """The page; a POST writes a correction, or answers about files, and comes back."""
    if not request.user.has_perm("billing.view_providerentry"):
        raise PermissionDenied
    may_correct = request.user.has_perm("billing.add_providerentry")
    account = _account(request)
    stretch = StretchForm(request.GET if request.GET.get("begin") or request.GET.get("end") else None)
    name = request.GET.get("stretch", "")
    since, until = _asked(name, stretch)
    found = reconcile.reconcile(account=account, since=since, until=until) if account else None
    files = _files(found) if found else None
    form = answer = None
    is_about_files = "kind" in request.POST
    if found is not None and may_correct:
        form = CorrectionForm(None if is_about_files else request.POST or None, initial=_answer(found))
    if request.method == "POST":
        if form is None or found is None or files is None:
            raise PermissionDenied
        if is_about_files:
            answer = file_decisions.posted(request.POST, files)
            is_written = _answered(request, answer)
        else:
            is_written = form.is_valid() and _corrected(request, found, form)
        if is_written:
            return HttpResponseRedirect(request.get_full_path())
    return TemplateResponse(
        request,
        "admin/reconciliation.html",
        {
            **admin.site.each_context(request),
            "title": _("Reconciliation"),
            "accounts": ProviderAccount.objects.order_by("pk"),
            "account": account,
            "stretches": [
                (
                    words,
                    f"?{urlencode({'stretch': one, 'account': account.pk if account else ''})}",
                    one == (name or "day"),
                )
                for one, words in STRETCHES.items()
            ],
            "is_range": stretch.is_bound,
            "stretch": stretch,
            "form": form,
            "books": audit_runner.get_last_run(),
            **_sides(found),
            **_files_side(files, answer, may_answer=may_correct),
        },
    )


def _sides(found: Reconciliation | None) -> dict[str, Any]:
    """Everything that there is to show once two readings can be compared."""
    if found is None:
        return {"found": None}
    run = audit_runner.get_last_run()
    begin, end = found.opening.taken_at, found.closing.taken_at
    entries = reconcile.entries_between(account=found.account, after=begin, until=end).select_related("actor")
    measuring = top_ups.list_unrecorded_rises(found)
    held = CreditAccount.objects.aggregate(people=Count("pk"), credits=Sum("balance"))
    return {
        "found": found,
        "is_coming_in": _is_coming_in(found),
        "verdict": verdict(found, measuring=bool(measuring)),
        "lines": reckoning(found),
        "jumps": [
            (jump.before.at, jump.after.at, signed(jump.amount))
            for jump in sorted(found.jumps, key=lambda jump: -abs(jump.amount))[:8]
        ],
        "settled": row("", found.settled, spends_url(found)),
        "models": [row(get_model_title(name), jobs) for name, jobs in found.by_model.items()],
        "bases": [
            row(Spend.Basis(name).label, jobs, spends_url(found, basis__exact=name))
            for name, jobs in found.by_basis.items()
        ],
        "entries": [
            (entry, TONES[ProviderEntry.Kind(entry.kind)], signed(entry.amount)) for entry in entries[:ENTRIES_SHOWN]
        ],
        "held": held,
        "ledger_problems": [one for one in (run.first_problems if run else []) if one["invariant"] in ("I1", "I2")],
        "tolerance": format_amount(settings.UNEXPLAINED_TOLERANCE),
    }


def _files(found: Reconciliation) -> Files:
    begin, end = found.opening.taken_at, found.closing.taken_at
    return Files(account=found.account, after=begin, until=end, run=audit_runner.get_last_run())


def _files_side(files: Files | None, sent: FileAnswerForm | None, *, may_answer: bool) -> dict[str, Any]:
    """The third side: each difference with its form, the one that was sent among them."""
    if files is None:
        return {}
    kept = files.kept()
    forms_of = {
        one.kind: sent
        if sent is not None and sent.data["kind"] == one.kind
        else FileAnswerForm(kind=one.kind, references=file_decisions.references(one))
        for one in kept.differences
        if may_answer
    }
    return {"kept": kept, "differences": [(one, forms_of.get(one.kind)) for one in kept.differences]}


def _account(request: HttpRequest) -> ProviderAccount | None:
    """The one asked for, else the one that new work goes to, else the newest."""
    asked = parse_row_number(request.GET.get("account", ""))
    if asked is not None and (account := ProviderAccount.objects.filter(pk=asked).first()):
        return account
    try:
        return provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        return ProviderAccount.objects.order_by("pk").last()


def _asked(name: str, stretch: StretchForm) -> tuple[datetime, datetime]:
    """From when to when; a range that makes no sense is the usual one, and the form says why."""
    at = clock.database_now()
    if stretch.is_bound and stretch.is_valid():
        begin: date = stretch.cleaned_data["begin"]
        end: date = stretch.cleaned_data["end"]
        return day_window(begin).starts_at, min(day_window(end).ends_at, at)
    today = window_at(Period.DAY, at).starts_at.astimezone(site_zone()).date()
    return day_window(today - timedelta(days=DAYS.get(name, 1))).starts_at, at


def _answer(found: Reconciliation) -> dict[str, Any]:
    """What the form begins with: the whole difference, unless it is about to be written down, and a key of its own."""
    answers_itself = found.is_explained or _is_coming_in(found)
    amount = None if answers_itself else format_plain(found.unexplained)
    return {"amount": amount, "key": randomness.new_uuid()}


def _is_coming_in(found: Reconciliation) -> bool:
    """Whether the difference is a top-up that is still being measured: an entry now would count it twice."""
    return not found.is_gone and bool(top_ups.list_unrecorded_rises(found))


def _corrected(request: HttpRequest, found: Reconciliation, form: CorrectionForm) -> bool:
    """Write the entry; False, with a word on the form, when its key was used for another one."""
    try:
        entry = reconcile.record_correction(
            account_id=found.account.pk,
            amount=form.cleaned_data["amount"],
            reason=form.cleaned_data["reason"],
            actor=_operator(request),
            idempotency_key=str(form.cleaned_data["key"]),
            happened_at=found.answered_at,
            snapshot_id=found.worst.after.pk if found.worst else found.closing.pk,
        )
    except reconcile.KeyReused:
        form.add_error(None, _("This form was used before, for another amount. Load the page again."))
        return False
    LogEntry.objects.log_actions(entry.actor_id or 0, [entry], ADDITION, f"{entry.amount:+f}: {entry.reason}")
    messages.success(request, _("Written down: %(amount)s credits.") % {"amount": signed(entry.amount)})
    return True


def _answered(request: HttpRequest, form: FileAnswerForm) -> bool:
    """Write the answers; False, with a word on the form or above the page, when they cannot be."""
    if form.is_valid():
        messages.success(request, file_decisions.said(file_decisions.write(form, _operator(request))))
        return True
    for text in form.errors.get("references", ()):
        messages.error(request, str(text))
    return False


def _operator(request: HttpRequest) -> User:
    """Who is acting; the operators' site lets nobody in without an account."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user

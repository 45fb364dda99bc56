"""The admin of budgets: the limits in force, their usage, and the form in which operators set limits.

A limit applies as soon as it is saved. Its key consists of subject and period, such as `all:hour`. Its `soft_share` is
the fraction of the limit at which operators are warned.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.lists import TolerantModelAdmin
from accounts.models import User
from accounts.seams import clock
from billing.admin.base import acting_operator
from billing.admin.cells import number_cell, time_cell
from billing.budgets import limits
from billing.budgets import usage as budget_usage
from billing.budgets.limits import SOFT_SHARE, Limit, Subject
from billing.budgets.state import State
from billing.common.formatting import format_amount, format_percent, format_plain
from billing.models import Budget, Period
from billing.pricing import prices

# The limits that are shown even if no operator has set them, in the order they are shown.
GENERAL_LIMIT_KEYS = ("all:hour", "all:day", "all:month", "each_user:day")
# The fields that name the user or the model that a limit is for.
OWNER_FIELDS = ("email", "model")
SOURCES = {"admin": gettext_lazy("set here"), "environment": gettext_lazy("from the environment")}


class BudgetForm(forms.ModelForm):  # type: ignore[type-arg]
    """A limit: its subject and period, the amount, and the percentage of use from which operators are warned."""

    email = forms.EmailField(
        label=gettext_lazy("E-mail address"), required=False, help_text=gettext_lazy("Only for one user.")
    )
    model = forms.ChoiceField(
        label=gettext_lazy("Model"), required=False, help_text=gettext_lazy("Only for one model.")
    )
    warn_percent = forms.IntegerField(
        label=gettext_lazy("Warn at"),
        min_value=1,
        max_value=100,
        initial=int(SOFT_SHARE * 100),
        help_text=gettext_lazy("Percentage of the limit."),
    )

    class Meta:
        model = Budget
        fields: ClassVar = ("subject", "period", "email", "model", "limit", "warn_percent")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["warn_percent"] = int(self.instance.soft_share * 100)
            self.initial["limit"] = None if self.instance.limit is None else format_plain(self.instance.limit)
        names = sorted({quote.model for quote in prices.list_current_quotes()})
        self.fields["model"].choices = [("", "—"), *((name, name) for name in names)]  # type: ignore[attr-defined]

    def clean_limit(self) -> Decimal | None:
        limit: Decimal | None = self.cleaned_data["limit"]
        if limit is not None and limit < 0:
            raise forms.ValidationError(_("A limit is zero or more."))
        return limit

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if self.instance.pk is None:
            self._clean_owner(data)
        return data

    def _clean_owner(self, data: dict[str, Any]) -> None:
        # A user or a model must be named if and only if the limit is for one, and the limit must be new.
        subject = data.get("subject")
        for name, owner in (("email", Subject.USER), ("model", Subject.MODEL)):
            if subject == owner and not data.get(name):
                self.add_error(name, _("Choose one."))
            elif subject != owner and data.get(name):
                self.add_error(name, _("Leave this empty, or choose a limit for one user or one model."))
        data["user"] = None
        if subject == Subject.USER and data.get("email"):
            data["user"] = User.objects.filter(email__iexact=data["email"]).first()
            if data["user"] is None:
                self.add_error("email", _("No user has this address."))
        if self.errors:
            return
        user = data["user"]
        key = limits.limit_key(
            subject=data["subject"], period=data["period"], user_id=user and user.pk, model=data["model"]
        )
        if Budget.objects.filter(key=key).exists():
            self.add_error(None, _("This limit already exists. Change it instead."))

    def _post_clean(self) -> None:
        """Do nothing: `limits.set_limit` writes the row, so no model instance is built or validated here."""


@dataclass(frozen=True)
class ActiveLimit:
    """A limit in force and its use in the current hour, day or month (its window); `url` is the form that changes it.

    `state` is None for a limit that applies to each user separately.
    """

    name: str
    limit: Limit
    state: State | None
    source: str | Promise
    url: str

    @property
    def used(self) -> SafeString | str:
        """The usage as a bar and text; for a limit that applies to each user separately, the limit alone."""
        if self.state is None:
            return number_cell(_("no limit") if self.limit.amount is None else format_amount(self.limit.amount))
        amounts = {"used": format_amount(self.state.used), "limit": format_amount(self.limit.amount)}
        if self.limit.amount is None:
            return number_cell(_("%(used)s, no limit") % amounts)
        return _usage_bar(self.state, _("%(used)s of %(limit)s") % amounts)


@admin.register(Budget)
class BudgetAdmin(TolerantModelAdmin):
    """The list of the limits that operators set. The limits in force are shown above it, with their source."""

    form = BudgetForm
    list_display = ("name", "amount", "warn_percent", "usage_bar", "resets", "operator", "last_changed")
    list_display_links = ("name",)
    list_select_related = ("user", "changed_by")
    search_fields = ("user__email", "model")
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = None
    change_list_template = "admin/billing/budgets.html"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj:
            return ["limit", "warn_percent"]
        # The button of a general limit leads to a form without owner fields.
        names = BudgetForm.Meta.fields
        return [name for name in names if name not in OWNER_FIELDS] if _general_subject(request) else list(names)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if obj is None and (subject := _general_subject(request)):
            form.base_fields["subject"].choices = [(subject.value, subject.label)]  # type: ignore[attr-defined]
        return form

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the limits in force, including those from the environment, above the list."""
        states = {(state.scope, str(state.period)): state for state in budget_usage.list_states(clock.database_now())}
        rows = {row.key: row for row in Budget.objects.filter(key__in=GENERAL_LIMIT_KEYS)}
        effective = limits.effective_limits(rows.values())
        in_force = [
            _active_limit(key, rows.get(key), effective.get(key, Limit(None)), states) for key in GENERAL_LIMIT_KEYS
        ]
        may_set = request.user.has_perm("billing.add_budget") and request.user.has_perm("billing.change_budget")
        return super().changelist_view(request, {"in_force": in_force, "may_set": may_set, **(extra_context or {})})

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Add to each limit its use in the current hour, day or month."""
        changelist = super().get_changelist_instance(request)
        states = {state.budget_key: state for state in budget_usage.list_states(clock.database_now())}
        for budget in changelist.result_list:
            budget.state = states.get(budget.key)
        return changelist

    def save_model(self, request: HttpRequest, obj: Budget, form: Any, change: bool) -> None:
        """Save through `limits.set_limit`; the limit applies immediately."""
        cleaned = form.cleaned_data
        saved = limits.set_limit(
            subject=obj.subject if change else cleaned["subject"],
            period=obj.period if change else cleaned["period"],
            user=obj.user if change else cleaned["user"],
            model=obj.model if change else cleaned["model"],
            limit=cleaned["limit"],
            soft_share=Decimal(cleaned["warn_percent"]) / 100,
            actor=acting_operator(request),
        )
        obj.pk = saved.pk
        obj.refresh_from_db()

    @admin.display(description=gettext_lazy("for"), ordering="key")
    def name(self, budget: Budget) -> str:
        return str(budget)

    @admin.display(description=gettext_lazy("limit"), ordering="limit")
    def amount(self, budget: Budget) -> SafeString:
        return number_cell(_("none") if budget.limit is None else format_amount(budget.limit))

    @admin.display(description=gettext_lazy("warn at"), ordering="soft_share")
    def warn_percent(self, budget: Budget) -> SafeString:
        return number_cell(f"{budget.soft_share * 100:.0f} %")

    @admin.display(description=gettext_lazy("used now"))
    def usage_bar(self, budget: Any) -> SafeString | str:
        return _usage_bar(budget.state, format_amount(budget.state.used)) if budget.state else "–"

    @admin.display(description=gettext_lazy("resets"))
    def resets(self, budget: Any) -> SafeString | str:
        return time_cell(budget.state.window.ends_at) if budget.state else "–"

    @admin.display(description=gettext_lazy("changed by"))
    def operator(self, budget: Budget) -> object:
        return budget.changed_by or "–"

    @admin.display(description=gettext_lazy("changed at"), ordering="changed_at")
    def last_changed(self, budget: Budget) -> SafeString | str:
        return time_cell(budget.changed_at)


def _general_subject(request: HttpRequest) -> Subject | None:
    """The subject given in the URL, if it is one that needs neither a user nor a model."""
    subject = request.GET.get("subject", "")
    return Subject(subject) if subject in (Subject.ALL, Subject.EACH_USER) else None


def _active_limit(key: str, row: Budget | None, limit: Limit, states: dict[tuple[str, str], State]) -> ActiveLimit:
    subject, _colon, period = key.partition(":")
    name = f"{Subject(subject).label} · {Period(period).label}"
    state = states.get((subject, period))
    if row is not None:
        return ActiveLimit(name, limit, state, SOURCES["admin"], reverse("admin:billing_budget_change", args=[row.pk]))
    initial = {"subject": subject, "period": period, "limit": "" if limit.amount is None else f"{limit.amount:f}"}
    source = SOURCES.get(limit.source, gettext_lazy("not set"))
    return ActiveLimit(name, limit, state, source, f"{reverse('admin:billing_budget_add')}?{urlencode(initial)}")


def _usage_bar(state: State, text: str) -> SafeString:
    """A bar with `text` and the percentage of the limit that is used; a limit of zero counts as used up."""
    share = state.used / state.limit if state.limit else Decimal(1)
    tone = "bad" if state.is_spent else "warn" if state.is_soft else "good"
    return format_html(
        '<span class="budget-use"><progress class="meter meter-{}" max="100" value="{}" aria-hidden="true"></progress>'
        '<span class="num nowrap">{} · {}</span></span>',
        tone,
        min(int(share * 100), 100),
        text,
        format_percent(share),
    )

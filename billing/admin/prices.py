"""The admin of the price list. A price is never edited: a new one replaces it from the new price's start on."""

import math
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.validators import MinValueValidator, RegexValidator
from django.db.models import Model, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.seams import clock
from billing.admin.base import ReadOnlyAdmin
from billing.admin.cells import chip, list_url, number_cell
from billing.admin.filters import ModelFilter
from billing.common.formatting import format_amount, sign_of
from billing.common.item_names import Item, get_model_titles
from billing.models import Price
from billing.pricing import margins
from billing.pricing.margins import Margin

# The start of a price may lie this far in the past, because it is filled in when the form is opened.
MAX_FORM_AGE = timedelta(minutes=30)
# A provider price must be below this to fit into the database column.
PROVIDER_CREDITS_LIMIT = Decimal(10) ** 8


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new price, valid from now on or from a later time."""

    model = forms.ChoiceField(label=gettext_lazy("Model"), choices=lambda: _model_choices())
    provider_credits = forms.DecimalField(
        label=gettext_lazy("Provider credits"),
        max_digits=12,
        decimal_places=4,
        validators=[MinValueValidator(Decimal("0.0001"))],
        help_text=gettext_lazy("What one video costs us at the provider."),
    )
    user_credits = forms.IntegerField(
        label=gettext_lazy("User credits"),
        min_value=1,
        max_value=2_000_000_000,
        help_text=gettext_lazy("What one video costs its user; whole credits."),
    )

    class Meta:
        model = Price
        fields: ClassVar = ("kind", "model", "resolution", "provider_credits", "user_credits", "valid_from")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        code_validator = RegexValidator(
            r"^[a-z0-9_.-]+$", gettext_lazy("Lowercase letters, digits, dots, hyphens and underscores.")
        )
        # The form of a stored price has no fields, because prices are never edited.
        if "resolution" in self.fields:
            self.fields["resolution"].validators.append(code_validator)
            self.fields["user_credits"].help_text = _user_credits_help(self.initial.get("provider_credits"))

    def clean_valid_from(self) -> Any:
        valid_from = self.cleaned_data["valid_from"]
        if valid_from < clock.now() - MAX_FORM_AGE:
            raise forms.ValidationError(
                _("A price cannot start in the past, because past charges must stay explained.")
            )
        return valid_from


def _model_choices() -> list[tuple[str, str]]:
    """The models to choose from, shown by title, or by code if a model has no title."""
    known = get_model_titles()
    listed = Price.objects.exclude(model__in=known).order_by("model").values_list("model", flat=True).distinct()
    return [*known.items(), *((model, model) for model in listed)]


def _user_credits_help(provider_credits: object) -> str:
    """The help text of the user price. It names the lowest price that covers our cost, if that is given."""
    help_text = _("What one video costs its user; whole credits.")
    usd_per_user_credit, usd_per_provider_credit = settings.USD_PER_USER_CREDIT, settings.USD_PER_PROVIDER_CREDIT
    facts = {"earned": f"{usd_per_user_credit:f}", "paid": f"{usd_per_provider_credit:f}"}
    help_text += " " + _("A user credit earns US$ %(earned)s, a provider credit costs US$ %(paid)s.") % facts
    try:
        cost = Decimal(str(provider_credits))
    except ArithmeticError:
        return help_text
    # The value comes from the URL, so it can be any text.
    if not usd_per_user_credit or not cost.is_finite() or not 0 <= cost < PROVIDER_CREDITS_LIMIT:
        return help_text
    minimum = max(1, math.ceil(cost * usd_per_provider_credit / usd_per_user_credit))
    return (
        help_text
        + " "
        + _("From %(n)d credits on, %(cost)s provider credits are paid for.")
        % {
            "n": minimum,
            "cost": format_amount(cost),
        }
    )


class ValidityFilter(admin.SimpleListFilter):
    """Filter by whether a price applies now, will apply later or no longer applies."""

    title = gettext_lazy("when")
    parameter_name = "when"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("now", _("In force")), ("later", _("Later")), ("former", _("Former"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Price]) -> QuerySet[Price]:
        if self.value() not in {"now", "later", "former"}:
            return queryset
        at = clock.now()
        conditions = {
            "now": Q(pk=Subquery(current_price_id(at))),
            "later": Q(valid_from__gt=at),
            "former": Q(valid_from__lte=at) & ~Q(pk=Subquery(current_price_id(at))),
        }
        return queryset.filter(conditions[str(self.value())])


def current_price_id(at: datetime) -> QuerySet[Any, Any]:
    """The id of the price that is in force at `at` for the item of the outer query; to be used as a subquery."""
    same = Price.objects.filter(kind=OuterRef("kind"), model=OuterRef("model"), resolution=OuterRef("resolution"))
    return same.filter(valid_from__lte=at).order_by("-valid_from").values("pk")[:1]


@admin.register(Price)
class PriceAdmin(ReadOnlyAdmin):
    """The price list with margins."""

    form = PriceForm
    list_display = ("item", "validity", "provider_cost", "usd", "user_price", "margin", "valid_from", "new_price_link")
    list_filter = (ValidityFilter, "kind", ModelFilter, "resolution")
    ordering = ("kind", "model", "resolution", "-valid_from")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("billing.add_price")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        prices: QuerySet[Price] = super().get_queryset(request)
        return prices.annotate(in_force=Subquery(current_price_id(clock.now())))

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: bool) -> None:
        """Save a new price and show its margin."""
        super().save_model(request, obj, form, change)
        margins.update_margin_alerts()
        margin = Margin(obj.user_credits, obj.provider_credits)
        facts = {"item": price_item(obj).name, "margin": format_margin(margin)}
        if margin.is_negative:
            text = _("%(item)s costs more than users pay: %(margin)s per video.") % facts
            self.message_user(request, text, messages.WARNING)
        else:
            self.message_user(request, _("%(item)s has a margin of %(margin)s per video.") % facts)

    @admin.display(description=gettext_lazy("item"), ordering="kind")
    def item(self, price: Price) -> str:
        return price_item(price).name

    @admin.display(description=gettext_lazy("when"))
    def validity(self, price: Any) -> SafeString:
        if price.valid_from > clock.now():
            return chip(_("Later"), "info")
        return chip(_("In force"), "good") if price.in_force == price.pk else chip(_("Former"))

    @admin.display(description=gettext_lazy("provider credits"), ordering="provider_credits")
    def provider_cost(self, price: Price) -> SafeString:
        return number_cell(format_amount(price.provider_credits))

    @admin.display(description=gettext_lazy("in US$"))
    def usd(self, price: Price) -> SafeString:
        return number_cell(f"{price.provider_credits * settings.USD_PER_PROVIDER_CREDIT:.4f}")

    @admin.display(description=gettext_lazy("user credits"), ordering="user_credits")
    def user_price(self, price: Price) -> SafeString:
        return number_cell(price.user_credits)

    @admin.display(description=gettext_lazy("margin"))
    def margin(self, price: Price) -> SafeString:
        """The margin in US$ and as a percentage of the user price."""
        return margin_chip(Margin(price.user_credits, price.provider_credits))

    @admin.display(description="")
    def new_price_link(self, price: Price) -> SafeString:
        initial = {"kind": price.kind, "model": price.model, "resolution": price.resolution}
        initial |= {"provider_credits": f"{price.provider_credits:f}", "user_credits": str(price.user_credits)}
        url = list_url("billing_price").rstrip("/") + "/add/"
        query = "&".join(f"{name}={value}" for name, value in initial.items())
        return format_html('<a class="btn btn-s" href="{}?{}">{}</a>', url, query, _("New price…"))


def format_margin(margin: Margin) -> str:
    """`+US$ 0.1125 (38 %)`: the margin, and its percentage of the user price."""
    share = "" if margin.percent is None else f" ({margin.percent:.0f} %)".replace("-", "−")
    return f"{sign_of(margin.usd)}US$ {abs(margin.usd):.4f}{share}"


def margin_chip(margin: Margin) -> SafeString:
    """The margin as a table cell; a negative margin is shown as a warning."""
    text = format_margin(margin)
    if margin.is_negative:
        return chip(text, "warn num nowrap")
    return format_html('<span class="num nowrap{}">{}</span>', " text-good" if margin.usd > 0 else "", text)


def price_item(price: Price) -> Item:
    return Item(price.model, price.resolution, price.kind)

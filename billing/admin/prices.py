"""What videos cost us and their users. A price is never edited: a new one takes over at its time."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.validators import MinValueValidator, RegexValidator
from django.db.models import Model, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.doors import clock
from billing.admin.reading import ReadOnlyAdmin, chip, list_url, number
from billing.amounts import localised
from billing.models import Price

# A form may lie open for a while before it is sent.
FORM_OPEN_FOR = timedelta(minutes=30)


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new price, from now on or from a time to come: what was charged in the past stays explained."""

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
        word = RegexValidator(r"^[a-z0-9_.-]+$", gettext_lazy("Small letters, digits, dots, dashes and underlines."))
        # Where a price is only shown there are no fields.
        for name in self.fields.keys() & {"model", "resolution"}:
            self.fields[name].validators.append(word)

    def clean_valid_from(self) -> Any:
        valid_from = self.cleaned_data["valid_from"]
        if valid_from < clock.now() - FORM_OPEN_FOR:
            raise forms.ValidationError(_("A price cannot begin in the past: it would rewrite what was charged."))
        return valid_from


class WhenFilter(admin.SimpleListFilter):
    """Which prices hold now."""

    title = gettext_lazy("when")
    parameter_name = "when"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("now", _("In force")), ("later", _("Later")), ("former", _("Former"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Price]) -> QuerySet[Price]:
        if self.value() not in {"now", "later", "former"}:
            return queryset
        at = clock.now()
        conditions = {
            "now": Q(pk=Subquery(in_force(at))),
            "later": Q(valid_from__gt=at),
            "former": Q(valid_from__lte=at) & ~Q(pk=Subquery(in_force(at))),
        }
        return queryset.filter(conditions[str(self.value())])


def in_force(at: datetime) -> QuerySet[Any, Any]:
    """For a subquery: the id of the price of the same item that is in force."""
    same = Price.objects.filter(kind=OuterRef("kind"), model=OuterRef("model"), resolution=OuterRef("resolution"))
    return same.filter(valid_from__lte=at).order_by("-valid_from").values("pk")[:1]


@admin.register(Price)
class PriceAdmin(ReadOnlyAdmin):
    """The price list, with what we earn."""

    form = PriceForm
    list_display = ("item", "when", "ours", "usd", "theirs", "margin", "valid_from", "change")
    list_filter = (WhenFilter, "kind", "model", "resolution")
    ordering = ("kind", "model", "resolution", "-valid_from")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("billing.add_price")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        prices: QuerySet[Price] = super().get_queryset(request)
        return prices.annotate(in_force=Subquery(in_force(clock.now())))

    @admin.display(description=gettext_lazy("item"), ordering="kind")
    def item(self, price: Price) -> str:
        return f"{price.model} {price.resolution} · {price.get_kind_display()}"

    @admin.display(description=gettext_lazy("when"))
    def when(self, price: Any) -> SafeString:
        if price.valid_from > clock.now():
            return chip(_("Later"), "info")
        return chip(_("In force"), "good") if price.in_force == price.pk else chip(_("Former"))

    @admin.display(description=gettext_lazy("provider credits"), ordering="provider_credits")
    def ours(self, price: Price) -> SafeString:
        return number(localised(price.provider_credits))

    @admin.display(description=gettext_lazy("in US$"))
    def usd(self, price: Price) -> SafeString:
        return number(f"{price.provider_credits * settings.USD_PER_PROVIDER_CREDIT:.4f}")

    @admin.display(description=gettext_lazy("user credits"), ordering="user_credits")
    def theirs(self, price: Price) -> SafeString:
        return number(price.user_credits)

    @admin.display(description=gettext_lazy("margin"))
    def margin(self, price: Price) -> SafeString:
        """What the user pays beyond what we pay, one user credit taken for one provider credit."""
        over = price.user_credits - price.provider_credits
        sign, tone = ("+", "good") if over > 0 else ("", "bad" if over < 0 else "")
        words = f"{sign}{localised(over)} ({sign}{over / price.provider_credits * 100:.0f} %)"
        return format_html('<span class="num nowrap{}">{}</span>', f" text-{tone}" if tone else "", words)

    @admin.display(description="")
    def change(self, price: Price) -> SafeString:
        facts = {"kind": price.kind, "model": price.model, "resolution": price.resolution}
        facts |= {"provider_credits": f"{price.provider_credits:f}", "user_credits": str(price.user_credits)}
        url = list_url("billing_price").rstrip("/") + "/add/"
        query = "&".join(f"{name}={value}" for name, value in facts.items())
        return format_html('<a class="btn btn-s" href="{}?{}">{}</a>', url, query, _("New price…"))

"""Filters for lists of prices and of what jobs cost."""

from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from billing.common.item_names import get_model_title, get_model_titles
from billing.models import Price, Spend


class ModelFilter(admin.SimpleListFilter):
    """Filter by model, shown by title."""

    title = _("model")
    parameter_name = "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        priced_models = Price.objects.order_by().values_list("model", flat=True).distinct()
        return [(model, get_model_title(model)) for model in sorted({*get_model_titles(), *priced_models})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(model=self.value()) if self.value() else queryset


class ItemKindFilter(admin.SimpleListFilter):
    """Filter by the kind of job."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return Price.Kind.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Spend]) -> QuerySet[Spend]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class VarianceFilter(admin.SimpleListFilter):
    """Filter by whether the actual cost was above, below or equal to the estimate."""

    title = _("cost against the estimate")
    parameter_name = "variance"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [("dearer", _("Dearer")), ("cheaper", _("Cheaper")), ("same", _("As estimated"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Spend]) -> QuerySet[Spend]:
        conditions = {
            "dearer": {"actual__gt": F("estimated")},
            "cheaper": {"actual__lt": F("estimated")},
            "same": {"actual": F("estimated")},
        }
        return queryset.filter(**conditions.get(str(self.value()), {}))

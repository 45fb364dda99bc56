"""Amounts and shares in templates."""

from decimal import Decimal

from django import template
from django.utils import formats

from billing.common.formatting import format_amount, format_below

register = template.Library()

_TENTH = Decimal("0.1")


@register.filter
def credits(amount: Decimal | int | None) -> str:
    """Provider credits, or any number, with the reader's separators; a dash for what is not known."""
    return format_amount(Decimal(amount) if amount or amount == 0 else None)


@register.filter
def signed_credits(amount: Decimal) -> str:
    """A difference: `+2.5`, `−52.5` with a true minus, `0`."""
    return f"{_sign(amount)}{format_amount(abs(amount))}"


@register.filter
def percent(share: float | None) -> str:
    """A share of one as `93.3 %`; what is little is not 0 %, what is almost all is not 100 %. A dash for what is not known."""
    if share is None:
        return "–"
    tenths = _tenths(share)
    if share > 0 and not tenths:
        return format_below(f"{formats.number_format(_TENTH)} %")
    return f"{formats.number_format(100 - _TENTH if share < 1 and tenths == 100 else tenths)} %"


@register.filter
def signed_percent(share: float | None) -> str:
    """The same of a difference: `+18 %`, `−0.8 %`."""
    if share is None:
        return "–"
    tenths = _tenths(share)
    return f"{_sign(tenths)}{formats.number_format(abs(tenths))} %"


def _tenths(share: float) -> Decimal:
    tenths = Decimal(str(round(share * 100, 1)))
    return tenths.quantize(Decimal(1)) if tenths == tenths.to_integral_value() else tenths


def _sign(amount: Decimal) -> str:
    return "+" if amount > 0 else "−" if amount < 0 else ""

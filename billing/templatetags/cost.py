"""Template filters that format amounts, and shares (fractions of a whole) as percentages."""

from decimal import Decimal

from django import template
from django.utils import formats

from billing.common.formatting import format_amount, format_below, format_signed, sign_of

register = template.Library()

_TENTH = Decimal("0.1")


@register.filter
def credits(amount: Decimal | int | None) -> str:
    """Format credits or a count with the separators of the reader's language, and None as a dash."""
    return format_amount(Decimal(amount) if amount or amount == 0 else None)


register.filter("signed_credits", format_signed)


@register.filter
def percent(share: float | None) -> str:
    """Format a fraction as `93.3 %`, and None as a dash.

    A share above zero is never shown as 0 %, and one below the whole never as 100 %.
    """
    if share is None:
        return "–"
    tenths = _round_to_tenths(share)
    if share > 0 and not tenths:
        return format_below(f"{formats.number_format(_TENTH)} %")
    return f"{formats.number_format(100 - _TENTH if share < 1 and tenths == 100 else tenths)} %"


@register.filter
def signed_percent(share: float | None) -> str:
    """Format the difference of two shares as `+18 %` or `−0.8 %`, and None as a dash."""
    if share is None:
        return "–"
    tenths = _round_to_tenths(share)
    return f"{sign_of(tenths)}{formats.number_format(abs(tenths))} %"


def _round_to_tenths(share: float) -> Decimal:
    tenths = Decimal(str(round(share * 100, 1)))
    return tenths.quantize(Decimal(1)) if tenths == tenths.to_integral_value() else tenths

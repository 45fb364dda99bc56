"""Amounts as people read them."""

from decimal import Decimal

from django.utils import formats


def plain(provider_credits: Decimal) -> str:
    """Without the zeros that a column of four decimals brings: `60`, `37.5`."""
    return f"{provider_credits.normalize():f}"


def localised(provider_credits: Decimal | None) -> str:
    """The same with the reader's separators; a dash for what is not known."""
    if provider_credits is None:
        return "–"
    return formats.number_format(plain(provider_credits), use_l10n=True, force_grouping=True)

"""Amounts as people read them."""

from decimal import Decimal
from functools import lru_cache

from django.utils import formats
from django.utils.translation import get_language


def plain(provider_credits: Decimal) -> str:
    """Without the zeros that a column of four decimals brings: `60`, `37.5`."""
    return f"{provider_credits.normalize():f}"


def localised(provider_credits: Decimal | None) -> str:
    """The same with the reader's separators; a dash for what is not known."""
    if provider_credits is None:
        return "–"
    return _grouped(plain(provider_credits), get_language())


# A page of figures writes the same small numbers hundreds of times.
@lru_cache(maxsize=4096)
def _grouped(number: str, language: str | None) -> str:
    """In the active language, which is named so that each has its own."""
    return formats.number_format(number, use_l10n=True, force_grouping=True)

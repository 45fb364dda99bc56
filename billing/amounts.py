"""Amounts as people read them."""

from decimal import Decimal
from functools import lru_cache

from django.utils import formats
from django.utils.translation import get_language
from django.utils.translation import gettext as _


def plain(provider_credits: Decimal) -> str:
    """Without the zeros that a column of four decimals brings: `60`, `37.5`."""
    return f"{provider_credits.normalize():f}"


def localised(provider_credits: Decimal | None) -> str:
    """The same with the reader's separators; a dash for what is not known."""
    if provider_credits is None:
        return "–"
    return _grouped(plain(provider_credits), get_language())


def whole_percent(share: Decimal) -> str:
    """A share of one as `30 %`, rounded down: what has begun is not 0 %, and what is not full is not 100 %."""
    percent = int(share * 100)
    return below("1 %") if share > 0 and not percent else f"{localised(Decimal(percent))} %"


def below(least: str) -> str:
    """For what is more than nothing and would be written as nothing: `<1 %`."""
    return _("<%(least)s") % {"least": least}


# A page of figures writes the same small numbers hundreds of times.
@lru_cache(maxsize=4096)
def _grouped(number: str, language: str | None) -> str:
    """In the active language, which is named so that each has its own."""
    return formats.number_format(number, use_l10n=True, force_grouping=True)

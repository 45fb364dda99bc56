"""Amounts as people read them."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from django.utils import formats, timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.seams import clock


def format_plain(provider_credits: Decimal) -> str:
    """Without the zeros that a column of four decimals brings: `60`, `37.5`."""
    return f"{provider_credits.normalize():f}"


def format_amount(provider_credits: Decimal | None) -> str:
    """The same with the reader's separators; a dash for what is not known."""
    if provider_credits is None:
        return "–"
    return _grouped(format_plain(provider_credits), get_language())


def format_percent(share: Decimal) -> str:
    """A share of one as `30 %`, rounded down: what has begun is not 0 %, and what is not full is not 100 %."""
    percent = int(share * 100)
    return format_below("1 %") if share > 0 and not percent else f"{format_amount(Decimal(percent))} %"


def format_below(least: str) -> str:
    """For what is more than nothing and would be written as nothing: `<1 %`."""
    return _("<%(least)s") % {"least": least}


# A page of figures writes the same small numbers hundreds of times.
@lru_cache(maxsize=4096)
def _grouped(number: str, language: str | None) -> str:
    """In the active language, which is named so that each has its own."""
    return formats.number_format(number, use_l10n=True, force_grouping=True)


def format_moment(at: datetime) -> str:
    """The time alone when it is of today, else with its day."""
    local = timezone.localtime(at)
    time = formats.time_format(local, "TIME_FORMAT")
    if local.date() == timezone.localtime(clock.now()).date():
        return time
    return _("%(day)s, %(time)s") % {"day": formats.date_format(local, "MONTH_DAY_FORMAT"), "time": time}


def join_sentences(sentences: Iterable[str]) -> str:
    """One after the other, set apart as the language does: Chinese leaves no space. Empty ones are left out."""
    text = ""
    for sentence in filter(None, sentences):
        text = _("%(before)s %(after)s") % {"before": text, "after": sentence} if text else sentence
    return text

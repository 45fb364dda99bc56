"""Formats amounts and times for people, and joins sentences."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from django.utils import formats, timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.seams import clock


def format_plain(amount: Decimal) -> str:
    """Format an amount for machines, logs and alert facts, without trailing zeros: `60`, `37.5`."""
    return f"{amount.normalize():f}"


def format_amount(amount: Decimal | None) -> str:
    """Format an amount without trailing zeros and with the active language's separators; a dash for None."""
    if amount is None:
        return "–"
    return _group_digits(format_plain(amount), get_language())


def format_signed(amount: Decimal | int) -> str:
    """Format a difference: `+2.5`, `−52.5` with a true minus sign, `0`."""
    return f"{sign_of(amount)}{format_amount(abs(Decimal(amount)))}"


def sign_of(amount: Decimal | int) -> str:
    """The sign of a difference; empty for zero."""
    return "+" if amount > 0 else "−" if amount < 0 else ""


def format_percent(share: Decimal) -> str:
    """Format a fraction between 0 and 1 as `30 %`, rounded down; fractions below one percent are `<1 %`."""
    percent = int(share * 100)
    return format_below("1 %") if share > 0 and not percent else f"{format_amount(Decimal(percent))} %"


def format_below(minimum: str) -> str:
    """Format an amount above zero that would be rounded to zero: `<1 %`."""
    return _("<%(least)s") % {"least": minimum}


# A page formats the same small numbers hundreds of times.
@lru_cache(maxsize=4096)
def _group_digits(number: str, language: str | None) -> str:
    """Add the active language's digit separators; `language` is only a key of the cache."""
    return formats.number_format(number, use_l10n=True, force_grouping=True)


def format_moment(at: datetime) -> str:
    """Format a moment as its time if it is today, otherwise as its day and time."""
    local = timezone.localtime(at)
    time = formats.time_format(local, "TIME_FORMAT")
    if local.date() == timezone.localtime(clock.now()).date():
        return time
    return _("%(day)s, %(time)s") % {"day": formats.date_format(local, "MONTH_DAY_FORMAT"), "time": time}


def join_sentences(sentences: Iterable[str]) -> str:
    """Join the sentences that are not empty, with the space that the active language needs: Chinese uses none."""
    text = ""
    for sentence in filter(None, sentences):
        text = _("%(before)s %(after)s") % {"before": text, "after": sentence} if text else sentence
    return text

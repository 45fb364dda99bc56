"""What addresses and forms ask for, typed by people and by machines: days, and numbers of rows."""

from datetime import date
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

LARGEST_ROW_NUMBER = 2**63 - 1


def day_field(label: Any, *, required: bool = False) -> forms.DateField:
    """A day of this millennium. Other years are slips, and some are beyond what a clock or a database can reckon with."""
    return forms.DateField(
        label=label,
        required=required,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        validators=[MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2999, 12, 31))],
    )


def parse_row_number(text: str) -> int | None:
    """The number of a row as an address writes it; None for whatever no row can have."""
    # Other digits than these are digits to Python as well; and so many of them are no number to it.
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_ROW_NUMBER))):
        return None
    return min(int(text), LARGEST_ROW_NUMBER)

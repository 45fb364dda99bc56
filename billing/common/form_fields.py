"""Form fields for days, and row numbers from URLs."""

from datetime import date
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

LARGEST_ROW_NUMBER = 2**63 - 1


def day_field(label: Any, *, required: bool = False) -> forms.DateField:
    """A form field for a day in the years 2000 to 2999. Other years are typing errors, and some overflow the database."""
    return forms.DateField(
        label=label,
        required=required,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        validators=[MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2999, 12, 31))],
    )


def parse_row_number(text: str) -> int | None:
    """Parse a row's number from a URL; None for a text that is no row number."""
    # The checks are needed because `isdigit` also accepts digits of other scripts, and `int` refuses very long numbers.
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_ROW_NUMBER))):
        return None
    return min(int(text), LARGEST_ROW_NUMBER)

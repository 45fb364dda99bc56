"""Fractions are formatted as percentages for people."""

from decimal import Decimal

import pytest

from billing.common.formatting import format_percent
from billing.templatetags.cost import percent


@pytest.mark.parametrize(
    ("share", "whole", "tenths"),
    [
        ("0", "0 %", "0 %"),
        ("0.0003", "<1 %", "<0.1 %"),
        ("0.003", "<1 %", "0.3 %"),
        ("0.3", "30 %", "30 %"),
        ("0.997", "99 %", "99.7 %"),
        ("0.9999", "99 %", "99.9 %"),
        ("1", "100 %", "100 %"),
        ("1.25", "125 %", "125 %"),
    ],
)
def test_fractions_are_never_rounded_to_zero_or_to_the_whole(share: str, whole: str, tenths: str) -> None:
    assert format_percent(Decimal(share)) == whole
    assert percent(float(share)) == tenths

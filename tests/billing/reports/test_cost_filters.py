"""The template filters for amounts and shares."""

from decimal import Decimal

from billing.common.formatting import format_plain, format_signed
from billing.templatetags import cost


def test_amounts_and_shares_are_formatted_for_readers() -> None:
    assert [cost.credits(value) for value in (Decimal("6187.5000"), 1200, None)] == ["6,187.5", "1,200", "–"]
    assert [format_signed(Decimal(value)) for value in ("2.5", "-52.5000", "0")] == ["+2.5", "−52.5", "0"]
    assert [cost.percent(value) for value in (0.933, 1.0, None)] == ["93.3 %", "100 %", "–"]
    assert [cost.signed_percent(value) for value in (0.18, -0.008, 0.0, None)] == ["+18 %", "−0.8 %", "0 %", "–"]
    assert format_plain(Decimal("60.0000")) == "60"

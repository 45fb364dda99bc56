"""Every fault that the product must survive has a test with its number."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
# Orders and submissions, callbacks, polling, downloads, accounts and secrets, processes.
FAULTS = [
    *range(1, 37),
    *range(38, 57),
    61,
    *range(73, 79),
    79,
    80,
    82,
]


def test_every_fault_has_a_test_with_its_number() -> None:
    named: set[int] = set()
    for path in TESTS.rglob("test_*.py"):
        for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8")):
            named |= {int(number) for number in re.findall(r"_f(\d\d)(?=_)", name)}
    assert sorted(set(FAULTS) - named) == []

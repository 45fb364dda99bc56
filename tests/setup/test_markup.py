"""Numbers in HTML attributes are not localised: 1000 must not become 1,000."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Ids and sizes. Task ids are UUIDs and field ids are text, which localisation does not change.
NUMBER = r"(?:pk|id|\w+_id|width|height)"
NOT_NUMBERS = r"(?!task\.|row\.task\.|video\.|slot\.image\.pk|[\w.]*auto_id)"
LOCALISED = re.compile(r'="[^"]*\{\{ *' + NOT_NUMBERS + r"[\w.]+\." + NUMBER + r" *\}\}")


def test_no_attribute_contains_a_localised_number() -> None:
    matches = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in sorted((ROOT / "templates").rglob("*.html"))
        for match in LOCALISED.finditer(path.read_text())
    ]
    assert matches == []

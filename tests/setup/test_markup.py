"""Numbers in attributes are for machines: a thousand there has no comma, whatever the reader's language."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A row's number or a size, printed as people read numbers. The keys of tasks are UUIDs, and those of fields are words.
NUMBER = r"(?:pk|id|\w+_id|width|height)"
WORDS = r"(?!task\.|row\.task\.|take\.|slot\.image\.pk|[\w.]*auto_id)"
LOCALISED = re.compile(r'="[^"]*\{\{ *' + WORDS + r"[\w.]+\." + NUMBER + r" *\}\}")


def test_no_attribute_holds_a_row_s_number_as_people_read_numbers() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in sorted((ROOT / "templates").rglob("*.html"))
        for match in LOCALISED.finditer(path.read_text())
    ]
    assert found == []

"""In every test, an alert raised with facts must have a sentence that they fit."""

from typing import Any

import pytest

from billing.alerts import messages as alert_messages
from billing.models import Alert


@pytest.fixture(autouse=True)
def _require_sentence_for_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages leave out facts without a sentence; in tests that is an error."""
    format_english = alert_messages.format_english

    def strict(kind: Alert.Kind, facts: dict[str, Any]) -> str:
        english = format_english(kind, facts)
        assert english or not facts, f"{kind} has no sentence for {facts}"
        return english

    monkeypatch.setattr(alert_messages, "format_english", strict)

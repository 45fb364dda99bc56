"""Fails every test that raises an alert with facts for which no sentence exists."""

from typing import Any

import pytest

from billing.alerts import messages as alert_messages
from billing.models import Alert


@pytest.fixture(autouse=True)
def _require_sentence_for_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages leave out facts without a sentence; in tests that is an error."""
    format_english = alert_messages.format_english

    def format_or_fail(kind: Alert.Kind, facts: dict[str, Any]) -> str:
        english = format_english(kind, facts)
        assert english or not facts, f"{kind} has no sentence for {facts}"
        return english

    monkeypatch.setattr(alert_messages, "format_english", format_or_fail)

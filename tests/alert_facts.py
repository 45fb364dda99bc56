"""In every test: who raises an alert with facts gives all that its sentences have places for."""

from typing import Any

import pytest

from billing.alerts import messages as alert_messages
from billing.models import Alert


@pytest.fixture(autouse=True)
def _facts_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a page, what does not fit is left out quietly; here it is a mistake."""
    english_of = alert_messages.format_english

    def strict(kind: Alert.Kind, facts: dict[str, Any]) -> str:
        english = english_of(kind, facts)
        assert english or not facts, f"{kind} has no sentence for {facts}"
        return english

    monkeypatch.setattr(alert_messages, "format_english", strict)

"""Helpers of the dashboard tests: read the page as text, count orders, and use up budgets."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from html import unescape

from django.test import Client

from billing.common.periods import window_at
from billing.costs import rollups
from billing.models import BudgetWindow, Measure

AT = datetime(2026, 9, 1, 12, 20, tzinfo=UTC)


def count_order(at: datetime = AT, *, credits: int = 60, model: str = "veo3_fast", user_id: int = 1) -> None:
    counts: list[tuple[Measure, Decimal | int]] = [(Measure.ORDERED, 1), (Measure.ESTIMATED, credits)]
    rollups.record_counts(ordered_at=at, model=model, user_id=user_id, counts=counts)


def use_budget(used: int, period: str = "day", scope: str = "all") -> None:
    window = window_at(period, AT)
    BudgetWindow.objects.create(
        scope=scope, period=period, starts_at=window.starts_at, ends_at=window.ends_at, used=used
    )


def read_page_text(staff: Client, query: str = "") -> str:
    page = staff.get(f"/admin/{query}")
    assert page.status_code == 200
    plain = re.sub(r"<(script|style|svg).*?</\1>|<[^>]+>", " ", page.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(plain).split())


def read_headline(staff: Client) -> tuple[str, str]:
    """Return the headline and the label of its action."""
    html = staff.get("/admin/").content.decode()
    headline = re.search(r'<p id="headline">(.*?)</p>', html, re.DOTALL)
    action = re.search(r'id="headline-action"[^>]*>(.*?)<', html, re.DOTALL)
    assert headline
    return " ".join(unescape(re.sub("<[^>]+>", " ", headline[1])).split()), unescape(action[1]) if action else ""

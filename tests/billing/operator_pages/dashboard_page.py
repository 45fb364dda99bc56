"""Reads the dashboard as text, and counts orders and budget use, for its tests."""

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
    one = window_at(period, AT)
    BudgetWindow.objects.create(scope=scope, period=period, starts_at=one.starts_at, ends_at=one.ends_at, used=used)


def read_page_text(desk: Client, query: str = "") -> str:
    page = desk.get(f"/admin/{query}")
    assert page.status_code == 200
    plain = re.sub(r"<(script|style|svg).*?</\1>|<[^>]+>", " ", page.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(plain).split())


def read_headline(desk: Client) -> tuple[str, str]:
    """The sentence, and what is to be done."""
    html = desk.get("/admin/").content.decode()
    sentence = re.search(r'<p id="verdict">(.*?)</p>', html, re.DOTALL)
    act = re.search(r'id="verdict-act"[^>]*>(.*?)<', html, re.DOTALL)
    assert sentence
    return " ".join(unescape(re.sub("<[^>]+>", " ", sentence[1])).split()), unescape(act[1]) if act else ""

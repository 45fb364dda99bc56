"""The price list in the admin."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing.models import (
    Price,
)
from tests.billing.admin.pages import PRICES, list_cells, new_price

pytestmark = pytest.mark.django_db


def test_the_price_list_shows_cost_and_margin(staff: Client) -> None:
    new_price(staff)
    text = staff.get(
        PRICES, {"when": "now", "model": "veo3_fast", "resolution": "720p", "kind__exact": "generate"}
    ).text
    assert list_cells(text, "provider_cost") == ["37.5"]
    assert list_cells(text, "usd") == ["0.1875"]
    assert list_cells(text, "user_price") == ["50"]
    assert list_cells(text, "margin") == ["+US$ 0.0625 (25 %)"]
    assert list_cells(text, "validity") == ["In force"]
    assert "provider_credits=37.5" in text


def test_a_new_price_applies_and_the_former_stays(staff: Client) -> None:
    before = Price.objects.count()
    new_price(staff, provider_credits="70", user_credits="60")
    tomorrow = timezone.localtime() + timedelta(days=1)
    new_price(staff, user_credits="99", valid_from_0=f"{tomorrow:%Y-%m-%d}")
    assert Price.objects.count() == before + 2
    item = {"model": "veo3_fast", "resolution": "720p", "kind__exact": "generate"}
    assert list_cells(staff.get(PRICES, item).text, "validity") == ["Later", "In force", "Former"]
    assert list_cells(staff.get(PRICES, item).text, "margin") == [
        "+US$ 0.3075 (62 %)",
        "−US$ 0.0500 (−17 %)",
        "US$ 0.0000 (0 %)",
    ]
    assert list_cells(staff.get(PRICES, {**item, "when": "later"}).text, "user_price") == ["99"]
    assert list_cells(staff.get(PRICES, {**item, "when": "former"}).text, "user_price") == ["60"]
    assert len(list_cells(staff.get(PRICES, {"when": "now"}).text, "item")) == before


@pytest.mark.parametrize(
    "invalid",
    [
        {"provider_credits": "0"},
        {"provider_credits": "-1"},
        {"user_credits": "0"},
        {"user_credits": "1.5"},
        {"model": "Veo 3"},
        {"valid_from_0": "2026-01-01"},
        {"kind": "gift"},
    ],
)
def test_an_invalid_price_is_refused(staff: Client, invalid: dict[str, Any]) -> None:
    before = Price.objects.count()
    assert "errorlist" in new_price(staff, **invalid)
    assert Price.objects.count() == before


def test_a_price_is_never_edited_or_deleted(staff: Client) -> None:
    price = Price.objects.get(kind="generate", model="veo3_fast", resolution="720p")
    assert 'name="_save"' not in staff.get(f"{PRICES}{price.pk}/change/").text
    assert staff.post(f"{PRICES}{price.pk}/change/", {"user_credits": "1"}).status_code == 403
    assert staff.post(f"{PRICES}{price.pk}/delete/", {"post": "yes"}).status_code == 403
    price.refresh_from_db()
    assert price.user_credits == 60

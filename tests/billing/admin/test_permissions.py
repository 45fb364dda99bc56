"""What operators may see and do in the billing admin, by permission."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from accounts.models import User
from billing import admin as billing_admin
from billing.admin.base import acting_operator
from billing.alerts import services as alerts
from billing.models import (
    Alert,
    BalanceSnapshot,
    Budget,
    CreditAccount,
    LedgerEntry,
    PaidCall,
    Price,
    ProviderAccount,
    Spend,
)
from tests.billing import history
from tests.billing.admin.pages import ACCOUNTS, ALERTS, CALLS, LEDGER, PRICES, SPEND, USERS, run_action

pytestmark = pytest.mark.django_db


MODELS: list[Any] = [LedgerEntry, Price, ProviderAccount, Alert, Spend, PaidCall]


@pytest.fixture
def rows(alice: User, account: ProviderAccount) -> dict[Any, Any]:
    """A row of every table."""
    history.make_ready(alice)
    alerts.raise_alert(Alert.Kind.STORAGE)
    return {model: model.objects.first() for model in MODELS}


@pytest.mark.parametrize("model", MODELS)
def test_without_permissions_nothing_is_shown(clerk: Callable[..., Client], rows: dict[Any, Any], model: Any) -> None:
    staff = clerk()
    url = f"/admin/billing/{model._meta.model_name}/"
    for path in (url, f"{url}{rows[model].pk}/change/", f"{url}{rows[model].pk}/history/"):
        assert staff.get(path).status_code == 403
        assert staff.post(path, {}).status_code == 403


@pytest.mark.parametrize("model", MODELS)
def test_a_viewer_cannot_change_anything(clerk: Callable[..., Client], rows: dict[Any, Any], model: Any) -> None:
    name = model._meta.model_name
    staff = clerk(f"view_{name}")
    url, row = f"/admin/billing/{name}/", rows[model]
    before = list(model.objects.values())
    text = staff.get(url).text + staff.get(f"{url}{row.pk}/change/").text
    assert "…</button>" not in text
    for action in ("pause", "resume", "activate", "deactivate", "test_connection", "acknowledge", "delete_selected"):
        run_action(staff, url, action, row, confirmed="yes", reason="x")
    assert staff.post(f"{url}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert list(model.objects.values()) == before


def test_adding_keys_or_prices_needs_the_permission(clerk: Callable[..., Client]) -> None:
    staff = clerk("view_provideraccount", "change_provideraccount", "view_price", "change_price")
    for url in (f"{ACCOUNTS}add/", f"{PRICES}add/"):
        assert staff.get(url).status_code == 403
        assert staff.post(url, {"label": "x", "api_key": "canary-key-1"}).status_code == 403
    assert not ProviderAccount.objects.exists()


@pytest.mark.parametrize("visitor", ["nobody", "customer"])
def test_users_who_are_not_operators_see_nothing(
    client: Client, alice: User, rows: dict[Any, Any], visitor: str
) -> None:
    if visitor == "customer":
        client.force_login(alice)
    for url in (USERS, LEDGER, PRICES, ACCOUNTS, ALERTS, SPEND, CALLS):
        assert client.get(url).status_code in {302, 403}
        assert client.post(url, {}).status_code in {302, 403}


def test_viewing_changes_nothing(staff: Client, alice: User, rows: dict[Any, Any]) -> None:
    def all_rows() -> list[Any]:
        return [list(model.objects.values()) for model in (*MODELS, CreditAccount, BalanceSnapshot)]

    staff.get(USERS)  # The first request writes olga's session row.
    before = all_rows()
    for model, row in rows.items():
        url = f"/admin/billing/{model._meta.model_name}/"
        for query in ({}, {"action": "pause"}, {"action": "acknowledge", "_selected_action": "1", "confirmed": "yes"}):
            assert staff.get(url, query, follow=True).status_code == 200
        assert staff.get(f"{url}{row.pk}/change/").status_code == 200
    query_of_action = {"action": "move_credits", "_selected_action": str(alice.pk), "amount": "5", "confirmed": "yes"}
    assert staff.get(USERS, query_of_action, follow=True).status_code == 200
    assert all_rows() == before


def test_nothing_in_billing_can_be_deleted_or_edited_by_hand(staff: Client, olga: User) -> None:
    class Request:
        user = olga
        method = "POST"

    for model, site in admin.site._registry.items():
        # Limits are settings, not records: they may be changed and deleted.
        if model._meta.app_label == "billing" and model is not Budget:
            assert not site.has_delete_permission(Request())  # type: ignore[arg-type]
            assert not site.has_change_permission(Request())  # type: ignore[arg-type]
    assert isinstance(admin.site._registry[User], billing_admin.UserAdmin)


def test_an_action_needs_an_operator() -> None:
    class Request:
        user = None

    with pytest.raises(TypeError):
        acting_operator(Request())  # type: ignore[arg-type]

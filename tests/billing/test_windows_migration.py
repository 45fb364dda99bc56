"""What was sent before there were budget windows is counted in them."""

from datetime import timedelta
from decimal import Decimal
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from billing import spend
from billing.budgets import BudgetSpent
from billing.limits import set_limit
from billing.models import BudgetWindow, ProviderAccount, Spend
from tests.billing.conftest import NewSpend, SetClock

pytestmark = pytest.mark.django_db


def counted() -> tuple[set[tuple[str, str, Decimal]], dict[str, tuple[Decimal, int]]]:
    windows = set(BudgetWindow.objects.filter(used__gt=0).values_list("scope", "period", "used"))
    return windows, {one.reference: (one.counted, len(one.counted_in)) for one in Spend.objects.filter(counted__gt=0)}


def test_what_this_month_cost_before_the_upgrade_is_used_of_its_limits_and_counted_once(
    still: SetClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    still.at -= timedelta(days=1)
    last_month = new_spend()
    spend.promise(spend=last_month, account=account)
    BudgetWindow.objects.all().delete()
    Spend.objects.update(counted=0, counted_in=[])
    still.at += timedelta(days=1)
    sent, known, free, waits = (new_spend() for _ in range(4))
    for one in (sent, known, free):
        spend.promise(spend=one, account=account)
    spend.settle(reference=known.reference, actual=Decimal("59.5"), basis=spend.Basis.REPORTED)
    spend.settle(reference=free.reference, actual=Decimal(0), basis=spend.Basis.NOT_SPENT)
    before = counted()
    BudgetWindow.objects.all().delete()
    Spend.objects.update(counted=0, counted_in=[])
    migration = import_module("billing.migrations.0014_windows_of_old_spends")
    for _ in range(2):
        migration.forwards(apps, connection.schema_editor())
        assert counted() == before
    set_limit(subject="all", period="month", limit=Decimal(179), actor=None)
    with pytest.raises(BudgetSpent):
        spend.promise(spend=waits, account=account)
    # What is given back later is given back to the window it is counted in.
    spend.settle(reference=sent.reference, actual=Decimal(0), basis=spend.Basis.NOT_SPENT)
    assert BudgetWindow.objects.get(scope="all", period="month").used == Decimal("59.5")

"""`manage.py benchmark` works in a database of its own, leaves nothing behind and touches no real row."""

import json
import subprocess
import sys

import pytest
from django.db import connection

from accounts.models import User
from billing.models import Spend, Total
from tests.services import ROOT
from veoapp.benchmark import scratch_database


def databases() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{scratch_database.PREFIX}%"])
        return [row[0] for row in cursor.fetchall()]


def test_the_dashboard_is_measured_in_a_scratch_database(process_environment: dict[str, str]) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), "benchmark", "dashboard", "--tasks", "300", "--json"]
    done = subprocess.run(command, env=process_environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    facts = json.loads(done.stdout)
    assert facts["tasks"] == 300
    assert facts["totals"] > 300
    assert set(facts["pages"]) == set(facts["empty"]) == set(facts["direct"]) == {"today", "7d", "30d", "year"}
    assert all(0 < page["queries"] <= 12 for page in facts["pages"].values()), facts["pages"]
    assert facts["claim"]["queries"] > 0
    assert "dropped at the end" in done.stderr
    assert (User.objects.count(), Spend.objects.count(), Total.objects.count()) == (0, 0, 0)
    if connection.vendor == "postgresql":
        assert databases() == []


@pytest.mark.django_db
def test_no_scratch_database_within_a_transaction() -> None:
    with pytest.raises(RuntimeError, match="transaction"), scratch_database.open_database():
        raise AssertionError("unreachable")

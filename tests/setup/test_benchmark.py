"""`manage.py benchmark` works in a temporary database, which it drops, and changes no real row."""

import json
import subprocess
import sys

import pytest
from django.db import connection

from accounts.models import User
from billing.models import Spend, Total
from tests.services import ROOT
from veoapp.benchmark import scratch_database


def list_scratch_databases() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{scratch_database.PREFIX}%"])
        return [row[0] for row in cursor.fetchall()]


def test_the_dashboard_is_measured_in_a_scratch_database(process_environment: dict[str, str]) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), "benchmark", "dashboard", "--tasks", "300", "--json"]
    result = subprocess.run(command, env=process_environment, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr[-2000:]
    report = json.loads(result.stdout)
    assert report["tasks"] == 300
    assert report["totals"] > 300
    assert set(report["pages"]) == set(report["empty"]) == set(report["direct"]) == {"today", "7d", "30d", "year"}
    assert all(0 < page["queries"] <= 12 for page in report["pages"].values()), report["pages"]
    assert report["claim"]["queries"] > 0
    assert "dropped at the end" in result.stderr
    assert (User.objects.count(), Spend.objects.count(), Total.objects.count()) == (0, 0, 0)
    if connection.vendor == "postgresql":
        assert list_scratch_databases() == []


@pytest.mark.django_db
def test_a_scratch_database_is_refused_within_a_transaction() -> None:
    with pytest.raises(RuntimeError, match="transaction"), scratch_database.open_database():
        raise AssertionError("unreachable")

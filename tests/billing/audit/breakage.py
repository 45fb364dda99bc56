"""Helpers that damage stored rows, and read the problems that the checks report."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from accounts.seams import clock
from billing.audit import runner as audit_runner
from billing.models import LedgerEntry
from tests.billing.conftest import without_history_protection
from videos.models import VideoTask


@pytest.fixture
def media(settings: Settings, tmp_path: Path) -> Path:
    """A separate media folder for the test."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.INCOMING_ROOT = settings.MEDIA_ROOT / ".incoming"
    settings.MAX_CONCURRENT_PER_USER = 10
    return tmp_path / "media"


def find_references(**options: bool) -> set[tuple[str, str]]:
    """The invariant and reference of every problem, without I23, which tests/videos/audit/test_recount covers."""
    return {
        (problem.invariant, problem.reference)
        for problem in audit_runner.find_problems(**options)
        if problem.invariant != "I23"
    }


def find_invariants(**options: bool) -> set[str]:
    return {invariant for invariant, _ in find_references(**options)}


def force_update(model: type, pk: object, **values: object) -> None:
    """Change a row without the triggers that protect it."""
    with without_history_protection():
        model.objects.filter(pk=pk).update(**values)  # type: ignore[attr-defined]


def force_delete(model: type, pk: int) -> None:
    """Delete a row without the triggers that protect it."""
    table, key = model._meta.db_table, connection.ops.quote_name("id")  # type: ignore[attr-defined]
    with without_history_protection(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE {key} = %s", [pk])


def charge_of(task: VideoTask) -> LedgerEntry:
    return LedgerEntry.objects.get(idempotency_key=task.charge_key)


def age(task: VideoTask, **times: timedelta) -> None:
    """Move times of a task into the past, by these durations before now."""
    at = clock.now()
    VideoTask.objects.filter(pk=task.pk).update(**{name: at - duration for name, duration in times.items()})


def drop_trigger(trigger: str, table: str) -> None:
    on_table = f" ON {table}" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {trigger}{on_table}")


def names_for_vendor(**by_vendor: list[str]) -> list[str]:
    return by_vendor[connection.vendor]

"""No check of the books scans a whole table for each row of another table, however large the tables are.

PostgreSQL keeps the result of a subquery as a hash if it fits into `work_mem`. If it does not fit, the subquery runs again
for each row of the outer query, which is fast only with an index. The tests make `work_mem` so small that no long table
fits, and check that every such subquery then uses an index.
"""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import CharField, OuterRef, Subquery, Value
from django.db.models.functions import Cast, Concat
from django.utils.module_loading import autodiscover_modules

from accounts.seams import clock
from billing.audit import runner as audit_runner
from billing.models import CreditAccount, CreditLot, LedgerEntry, LotUse
from veoapp.benchmark import history
from videos.audit import files as file_audit
from videos.models import SourceImage, TaskEvent, VideoFile, VideoTask

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]

TASKS = 4_000
Statement = tuple[str, Any]

autodiscover_modules("audit.checks")
CHECKS = {
    **audit_runner._checks,
    **{f"{name}, frequent": check for name, check in audit_runner._frequent_checks.items()},
}


@pytest.fixture
def long_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in every table that grows with the videos, so many that no table fits into the smallest `work_mem`."""
    at = clock.database_now()
    history.create_users(400)
    history.create_finished_jobs(TASKS, since=at - timedelta(days=20), until=at)
    tasks = list(VideoTask.objects.order_by("pk").values_list("pk", "user"))
    TaskEvent.objects.bulk_create(TaskEvent(task_id=pk, kind="charged", to_status="queued") for pk, _ in tasks)
    VideoFile.objects.bulk_create(
        VideoFile(task_id=pk, index=0, state="stored", name=f"{pk}.mp4", sha256="0" * 64, size_bytes=1)
        for pk, _ in tasks
    )
    SourceImage.objects.bulk_create(
        SourceImage(user_id=user, name=f"{pk}.webp", width=1, height=1, size_bytes=1) for pk, user in tasks
    )
    lots = {
        account: CreditLot.objects.create(account_id=account, granted=1, remaining=1)
        for account in CreditAccount.objects.values_list("pk", flat=True)
    }
    LotUse.objects.bulk_create(
        LotUse(lot=lots[account], entry_id=entry, amount=1)
        for entry, account in LedgerEntry.objects.values_list("pk", "account")
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("SET LOCAL work_mem = '64kB'")
        cursor.execute("SET LOCAL hash_mem_multiplier = 1")
        # PostgreSQL then scans a whole table only if no index can be used, even if the table is short.
        cursor.execute("SET LOCAL enable_seqscan = off")
    monkeypatch.setattr(file_audit, "_describe_problem", lambda row, *, deep: "")


def record_statements(function: Callable[[], object]) -> list[Statement]:
    """Return the statements that the function executes."""
    statements: list[Statement] = []

    def record(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if sql.lstrip().startswith(("SELECT", "UPDATE", "(SELECT")):
            statements.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record):
        function()
    return statements


def find_repeated_scans(statement: Statement) -> list[str]:
    """Return the scans in the statement's plan that are repeated for every row and use no index."""
    sql, params = statement
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {sql}", params)
        (explained,) = cursor.fetchone()
    plan, plan_text = explained[0]["Plan"], json.dumps(explained)
    subplans = [node for node in iterate_nodes(plan) if node.get("Parent Relationship") == "SubPlan"]
    repeated = [node for node in subplans if f"hashed {node['Subplan Name']}" not in plan_text]
    scans = [scan for node in repeated for scan in iterate_nodes(node) if "Relation Name" in scan]
    return [f"{scan['Node Type']} of {scan['Relation Name']}" for scan in scans if not uses_index(scan)]


def uses_index(scan: dict[str, Any]) -> bool:
    return any("Index Cond" in node for node in iterate_nodes(scan))


def iterate_nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from iterate_nodes(part)


@pytest.mark.usefixtures("long_history")
def test_no_check_scans_a_table_for_each_row_of_another() -> None:
    repeated_scans: dict[str, list[str]] = {}
    for name, check in CHECKS.items():
        statements = record_statements(lambda check=check: list(check(deep=False)))  # type: ignore[misc]
        assert statements, f"{name} executed no statement"
        for statement in statements:
            if scans := find_repeated_scans(statement):
                repeated_scans.setdefault(name, []).extend([*scans, statement[0]])
    assert repeated_scans == {}


@pytest.mark.usefixtures("long_history")
def test_a_scan_for_each_row_is_detected() -> None:
    names = VideoTask.objects.order_by().annotate(name=Concat(Value("video:"), Cast("pk", CharField()))).values("name")
    charges = LedgerEntry.objects.filter(amount__lt=0).values("pk")
    unindexed = LedgerEntry.objects.filter(note=OuterRef("prompt")).values("pk")
    for quadratic in (
        LedgerEntry.objects.exclude(reference__in=names),
        LedgerEntry.objects.exclude(pk__in=charges),
        VideoTask.objects.annotate(entry=Subquery(unindexed[:1])),
    ):
        assert find_repeated_scans(quadratic.query.sql_with_params()) != [], quadratic.query

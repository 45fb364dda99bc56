"""No check of the books asks the database for more than a lookup of each row, however large its tables grow.

A subquery that PostgreSQL may not keep as a hash, for it is larger than `work_mem`, is read anew for every row of the
query around it, unless an index finds what it asks for. So `work_mem` is made so small that no long table is hashed, and
every such subquery must then go by an index.
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
CHECKS = {**audit_runner._checks, **{f"{name}, often": check for name, check in audit_runner._frequent_checks.items()}}


@pytest.fixture
def long_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in every table that grows with the videos, enough that none of them fits into the smallest hash."""
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
        # Then a table is read from one end to the other only where no index helps, be it ever so short.
        cursor.execute("SET LOCAL enable_seqscan = off")
    monkeypatch.setattr(file_audit, "_describe_problem", lambda row, *, deep: "")


def statements_of(act: Callable[[], object]) -> list[Statement]:
    """What the database is asked meanwhile."""
    asked: list[Statement] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if sql.lstrip().startswith(("SELECT", "UPDATE", "(SELECT")):
            asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        act()
    return asked


def read_for_each_row(statement: Statement) -> list[str]:
    """The scans in this statement's plan that are done anew for every row, and by no index."""
    sql, params = statement
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {sql}", params)
        (found,) = cursor.fetchone()
    plan, whole = found[0]["Plan"], json.dumps(found)
    subplans = [node for node in nodes(plan) if node.get("Parent Relationship") == "SubPlan"]
    again = [node for node in subplans if f"hashed {node['Subplan Name']}" not in whole]
    scans = [scan for node in again for scan in nodes(node) if "Relation Name" in scan]
    return [f"{scan['Node Type']} of {scan['Relation Name']}" for scan in scans if not is_by_index(scan)]


def is_by_index(scan: dict[str, Any]) -> bool:
    return any("Index Cond" in node for node in nodes(scan))


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


@pytest.mark.usefixtures("long_history")
def test_no_check_scans_a_table_for_each_row_of_another() -> None:
    bad: dict[str, list[str]] = {}
    for name, check in CHECKS.items():
        asked = statements_of(lambda check=check: list(check(deep=False)))  # type: ignore[misc]
        assert asked, f"{name} asked nothing"
        for statement in asked:
            if scans := read_for_each_row(statement):
                bad.setdefault(name, []).extend([*scans, statement[0]])
    assert bad == {}


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
        assert read_for_each_row(quadratic.query.sql_with_params()) != [], quadratic.query

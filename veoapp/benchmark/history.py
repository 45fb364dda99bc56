"""Writes a long history fast: jobs go into one narrow staging table, from which INSERT ... SELECT fills the real tables.

A job is one ordered video. The values are plausible, but the sums of credits do not match, so the history is good for
measuring only.
"""

import random
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import connection, models

from accounts.models import User
from billing.models import BalanceSnapshot, CreditAccount, LedgerEntry, PaidCall, ProviderAccount, Spend
from billing.provider import accounts as provider_accounts
from videos.models import VideoTask

MAX_USERS = 2_000
BATCH_SIZE = 20_000
# Each model with its weight in the random choice, its cost in provider credits and its price in user credits.
MODELS = (("veo3_lite", 30, 30, 30), ("veo3_fast", 55, 60, 60), ("veo3", 15, 250, 250))
# Failure codes, of which failed jobs get one at random.
FAILURES = ("content_policy", "generation", "timed_out", "deadline", "no_file", "unsafe_image")
# More than in reality, where old snapshots are thinned out.
SNAPSHOT_EVERY = timedelta(minutes=15)

# The columns of the staging table.
_COLUMNS: dict[str, models.Field[Any, Any]] = {
    "id": models.UUIDField(),
    "reference": models.CharField(max_length=60),
    "user_id": models.BigIntegerField(),
    "model": models.CharField(max_length=40),
    "estimated": models.DecimalField(max_digits=12, decimal_places=4),
    "actual": models.DecimalField(max_digits=12, decimal_places=4),
    "status": models.CharField(max_length=12),
    "failure_code": models.CharField(max_length=40),
    "settled_by": models.CharField(max_length=10),
    "created_at": models.DateTimeField(),
    "submitted_at": models.DateTimeField(),
    "done_at": models.DateTimeField(),
    "finished_at": models.DateTimeField(),
}

JobRow = tuple[Any, ...]  # the values of one job in the order of _COLUMNS


def create_users(count: int) -> None:
    """Create users with credits who cannot sign in."""
    users = User.objects.bulk_create(
        (User(email=f"user{n}@benchmark.invalid", display_name=f"User {n}") for n in range(count)),
        batch_size=BATCH_SIZE,
    )
    CreditAccount.objects.bulk_create(
        (CreditAccount(user=user, balance=10**9) for user in users), batch_size=BATCH_SIZE
    )


def create_queued_jobs(count: int, *, until: datetime) -> None:
    """Create jobs that wait in the queue, ordered in the last minutes."""
    rng = random.Random(count)  # noqa: S311  not used for secrets
    user_ids = _list_user_ids()
    since = until - timedelta(minutes=10)
    step = (until - since) / max(count, 1)
    _write_jobs(_build_job(rng, rng.choice(user_ids), since + n * step, is_waiting=True) for n in range(count))


def create_finished_jobs(count: int, *, since: datetime, until: datetime) -> None:
    """Create finished jobs spread over the period; a few users order most of them."""
    rng = random.Random(count)  # noqa: S311
    user_ids = _list_user_ids()
    step = (until - since) / max(count, 1)

    def jobs() -> Iterator[JobRow]:
        for n in range(count):
            user_id = user_ids[int(len(user_ids) * rng.random() ** 3)]
            yield _build_job(rng, user_id, since + n * step, is_waiting=False)

    _write_jobs(jobs())


def create_balance_history(*, since: datetime, until: datetime) -> None:
    """Create readings of the provider's balance, which falls steadily and rises at each top-up."""
    account = provider_accounts.get_current_account()
    balance = 50_000

    def readings() -> Iterator[BalanceSnapshot]:
        nonlocal balance
        at = since
        while at < until:
            balance = balance - 170 if balance > 5_000 else balance + 45_000
            yield BalanceSnapshot(account=account, balance=balance, promised=600, taken_at=at)
            at += SNAPSHOT_EVERY

    BalanceSnapshot.objects.bulk_create(readings(), batch_size=BATCH_SIZE)


def analyze_tables() -> None:
    """Update the planner statistics, which a database otherwise updates only after a while."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def _list_user_ids() -> list[int]:
    return list(User.objects.filter(is_staff=False).order_by("pk").values_list("pk", flat=True))


def _build_job(rng: random.Random, user_id: int, at: datetime, *, is_waiting: bool) -> JobRow:
    model, _, cost, _ = rng.choices(MODELS, [weight for _, weight, _, _ in MODELS])[0]
    task_id = UUID(int=rng.getrandbits(128), version=4)
    common = (task_id, f"video:{task_id}", user_id, model, cost)
    if is_waiting:
        return (*common, None, "queued", "", "", at, None, None, None)
    sent = at + timedelta(seconds=rng.expovariate(1 / 8))
    done = sent + timedelta(seconds=rng.lognormvariate(4.4, 0.4))
    end = done + timedelta(seconds=rng.uniform(2, 20))
    outcome = rng.random()
    if outcome < 0.02:
        return (*common, 0, "cancelled", "user", "", at, None, None, end)
    source = "poll" if rng.random() < 0.05 else "callback"
    if outcome < 0.08:
        code = rng.choice(FAILURES)
        return (*common, 0, "failed", code, "" if code in ("deadline", "no_file") else source, at, sent, None, end)
    return (*common, cost if rng.random() < 0.95 else cost * 1.25, "ready", "", source, at, sent, done, end)


def _write_jobs(jobs: Iterable[JobRow]) -> None:
    account = provider_accounts.get_current_account()
    with connection.schema_editor() as editor:
        types = ", ".join(f"{name} {field.db_type(connection)}" for name, field in _COLUMNS.items())
        editor.execute(f"CREATE TABLE benchmark_job ({types})")
    try:
        _fill_staging_table(jobs)
        _fill_tables(account)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE benchmark_job")


def _fill_staging_table(jobs: Iterable[JobRow]) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy("COPY benchmark_job FROM STDIN") as copy:
                for job in jobs:
                    copy.write_row(job)
            return
        placeholders = ", ".join(["%s"] * len(_COLUMNS))
        fields = list(_COLUMNS.values())
        for batch in _batched(jobs):
            prepared = [
                [field.get_db_prep_save(value, connection) for field, value in zip(fields, job, strict=True)]
                for job in batch
            ]
            cursor.executemany(f"INSERT INTO benchmark_job VALUES ({placeholders})", prepared)  # noqa: S608  placeholders only


def _batched(jobs: Iterable[JobRow]) -> Iterator[list[JobRow]]:
    remaining = iter(jobs)
    while batch := list(islice(remaining, BATCH_SIZE)):
        yield batch


def _fill_tables(account: ProviderAccount) -> None:
    """Fill the tables of tasks, spends, ledger entries and paid calls from the staging table."""
    sent = "status <> 'queued'"
    _insert_from_staging(
        VideoTask,
        **dict.fromkeys(("id", "user_id", "model", "status", "failure_code", "settled_by", "created_at"), ""),
        submitted_at="", finished_at="",
        provider_done_at="done_at",
        generating_at="submitted_at",
        due_at="created_at",
        prompt="'a kite over the dunes, ' || reference",
        aspect_ratio="'16:9'",
        resolution="'720p'",
        duration_s="8",
        idempotency_key="reference",
        order_hash="''",
        user_credits="CAST(estimated AS integer)",
        account_id=f"CASE WHEN submitted_at IS NULL THEN NULL ELSE {account.pk} END",
        provider_task_id="CASE WHEN submitted_at IS NULL THEN NULL ELSE reference END",
        notified_at="finished_at",
    )  # fmt: skip
    _insert_from_staging(
        Spend,
        **dict.fromkeys(("user_id", "model", "estimated", "actual", "created_at"), ""),
        job_id="id",
        account_id=f"CASE WHEN submitted_at IS NULL THEN NULL ELSE {account.pk} END",
        resolution="'720p'",
        kind="'generate'",
        user_credits="CAST(estimated AS integer)",
        usd_per_credit="0.005",
        state=f"CASE WHEN {sent} THEN 'settled' ELSE 'estimated' END",
        basis=f"CASE WHEN {sent} THEN 'reported' ELSE '' END",
        promised_at="submitted_at",
        settled_at="finished_at",
    )
    entry = {
        "account_id": "(SELECT a.id FROM billing_creditaccount a WHERE a.user_id = benchmark_job.user_id)",
        "reference": "",
        "job_id": "id",
        "balance_after": "1000000000",
    }
    _insert_from_staging(
        LedgerEntry,
        **entry,
        kind="'charge'",
        amount="-CAST(estimated AS integer)",
        idempotency_key="'charge:' || reference",
        created_at="",
    )
    _insert_from_staging(
        LedgerEntry,
        where="WHERE status IN ('failed', 'cancelled')",
        **entry,
        kind="'refund'",
        amount="CAST(estimated AS integer)",
        idempotency_key="'refund:' || reference",
        reverses_id="(SELECT e.id FROM billing_ledgerentry e WHERE e.idempotency_key = 'charge:' || benchmark_job.reference)",
        created_at="finished_at",
    )
    _insert_from_staging(
        PaidCall,
        where="WHERE submitted_at IS NOT NULL",
        spend_id="(SELECT s.id FROM billing_spend s WHERE s.job_id = benchmark_job.id)",
        account_id=str(account.pk),
        started_at="submitted_at",
        answered_at="submitted_at",
        outcome="'accepted'",
    )


def _insert_from_staging(model: type[models.Model], /, *, where: str = "", **sources: str) -> None:
    """Fill a table by INSERT ... SELECT from the staging table.

    A source is an SQL expression; "" stands for the column of the same name. A column without a source gets its default.
    """
    columns: list[str] = []
    selected: list[str] = []
    values: list[Any] = []
    for field in model._meta.concrete_fields:
        if field.primary_key and field.attname not in sources:
            continue
        columns.append(f'"{field.column}"')
        if field.attname in sources:
            selected.append(sources[field.attname] or str(field.column))
        else:
            selected.append("%s")
            values.append(field.get_db_prep_save(field.get_default(), connection))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) "  # noqa: S608  no value comes from users
            f"SELECT {', '.join(selected)} FROM benchmark_job {where}",
            values,
        )

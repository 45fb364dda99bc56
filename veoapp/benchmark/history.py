"""A long history, written fast: facts of each job in one narrow table, then every table from that by INSERT ... SELECT.

What it holds is plausible figure by figure; it is for measuring, not for balancing.
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

# So many for a long history.
MAX_USERS = 2_000
BATCH_SIZE = 20_000
# Models, how often each is ordered, what it costs (provider credits) and what users pay.
MODELS = (("veo3_lite", 30, 30, 30), ("veo3_fast", 55, 60, 60), ("veo3", 15, 250, 250))
FAILURES = ("content_policy", "generation", "timed_out", "deadline", "no_file", "unsafe_image")
# A snapshot each quarter of an hour: what thinning leaves of a year is far less.
SNAPSHOT_EVERY = timedelta(minutes=15)

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


Facts = tuple[Any, ...]


def create_users(count: int) -> None:
    """Users with purses; nobody can sign in."""
    made = User.objects.bulk_create(
        (User(email=f"user{n}@benchmark.invalid", display_name=f"User {n}") for n in range(count)),
        batch_size=BATCH_SIZE,
    )
    CreditAccount.objects.bulk_create((CreditAccount(user=one, balance=10**9) for one in made), batch_size=BATCH_SIZE)


def create_queued_jobs(count: int, *, until: datetime) -> None:
    """Jobs that wait in the queue, ordered in the last minutes."""
    chance = random.Random(count)  # noqa: S311  figures, no secrets
    users = _users()
    begin = until - timedelta(minutes=10)
    step = (until - begin) / max(count, 1)
    _write(_job(chance, chance.choice(users), begin + n * step, waits=True) for n in range(count))


def create_finished_jobs(count: int, *, since: datetime, until: datetime) -> None:
    """Jobs that came to their end, spread over the time; some users order much, most order little."""
    chance = random.Random(count)  # noqa: S311
    users = _users()
    step = (until - since) / max(count, 1)

    def jobs() -> Iterator[Facts]:
        for n in range(count):
            user = users[int(len(users) * chance.random() ** 3)]
            yield _job(chance, user, since + n * step, waits=False)

    _write(jobs())


def create_balance_history(*, since: datetime, until: datetime) -> None:
    """The curve of the provider account: down by work, up by top-ups."""
    account = provider_accounts.get_current_account()
    left = 50_000

    def readings() -> Iterator[BalanceSnapshot]:
        nonlocal left
        at = since
        while at < until:
            left = left - 170 if left > 5_000 else left + 45_000
            yield BalanceSnapshot(account=account, balance=left, promised=600, taken_at=at)
            at += SNAPSHOT_EVERY

    BalanceSnapshot.objects.bulk_create(readings(), batch_size=BATCH_SIZE)


def analyze_tables() -> None:
    """Let the database know its tables, as it does by itself after a while."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def _users() -> list[int]:
    return list(User.objects.filter(is_staff=False).order_by("pk").values_list("pk", flat=True))


def _job(chance: random.Random, user_id: int, at: datetime, *, waits: bool) -> Facts:
    model, _, cost, _ = chance.choices(MODELS, [often for _, often, _, _ in MODELS])[0]
    task_id = UUID(int=chance.getrandbits(128), version=4)
    known = (task_id, f"video:{task_id}", user_id, model, cost)
    if waits:
        return (*known, None, "queued", "", "", at, None, None, None)
    sent = at + timedelta(seconds=chance.expovariate(1 / 8))
    done = sent + timedelta(seconds=chance.lognormvariate(4.4, 0.4))
    end = done + timedelta(seconds=chance.uniform(2, 20))
    drawn = chance.random()
    if drawn < 0.02:
        return (*known, 0, "cancelled", "user", "", at, None, None, end)
    way = "poll" if chance.random() < 0.05 else "callback"
    if drawn < 0.08:
        code = chance.choice(FAILURES)
        return (*known, 0, "failed", code, "" if code in ("deadline", "no_file") else way, at, sent, None, end)
    return (*known, cost if chance.random() < 0.95 else cost * 1.25, "ready", "", way, at, sent, done, end)


def _write(jobs: Iterable[Facts]) -> None:
    account = provider_accounts.get_current_account()
    with connection.schema_editor() as editor:
        types = ", ".join(f"{name} {field.db_type(connection)}" for name, field in _COLUMNS.items())
        editor.execute(f"CREATE TABLE benchmark_job ({types})")
    try:
        _stage(jobs)
        _spread(account)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE benchmark_job")


def _stage(jobs: Iterable[Facts]) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy("COPY benchmark_job FROM STDIN") as copy:
                for job in jobs:
                    copy.write_row(job)
            return
        marks = ", ".join(["%s"] * len(_COLUMNS))
        fields = list(_COLUMNS.values())
        for batch in _batched(jobs):
            prepared = [
                [field.get_db_prep_save(value, connection) for field, value in zip(fields, job, strict=True)]
                for job in batch
            ]
            cursor.executemany(f"INSERT INTO benchmark_job VALUES ({marks})", prepared)  # noqa: S608  marks only


def _batched(jobs: Iterable[Facts]) -> Iterator[list[Facts]]:
    rest = iter(jobs)
    while batch := list(islice(rest, BATCH_SIZE)):
        yield batch


def _spread(account: ProviderAccount) -> None:
    """Every table from the facts."""
    sent = "status <> 'queued'"
    _insert(
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
    _insert(
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
    _insert(
        LedgerEntry,
        **entry,
        kind="'charge'",
        amount="-CAST(estimated AS integer)",
        idempotency_key="'charge:' || reference",
        created_at="",
    )
    _insert(
        LedgerEntry,
        where="WHERE status IN ('failed', 'cancelled')",
        **entry,
        kind="'refund'",
        amount="CAST(estimated AS integer)",
        idempotency_key="'refund:' || reference",
        reverses_id="(SELECT e.id FROM billing_ledgerentry e WHERE e.idempotency_key = 'charge:' || benchmark_job.reference)",
        created_at="finished_at",
    )
    _insert(
        PaidCall,
        where="WHERE submitted_at IS NOT NULL",
        spend_id="(SELECT s.id FROM billing_spend s WHERE s.job_id = benchmark_job.id)",
        account_id=str(account.pk),
        started_at="submitted_at",
        answered_at="submitted_at",
        outcome="'accepted'",
    )


def _insert(model: type[models.Model], /, *, where: str = "", **sources: str) -> None:
    """INSERT ... SELECT from the facts. A source is SQL of ours; empty: the column of the same name; none: the default."""
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
            f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) "  # noqa: S608  names and sources are ours
            f"SELECT {', '.join(selected)} FROM benchmark_job {where}",
            values,
        )

"""The clean-up after transactional tests, beside triggers that forbid it and rows that migrations brought.

The books refuse UPDATE, DELETE and TRUNCATE by themselves, so Django's flush fails. Here it lifts the triggers for its
own transaction only, and puts back what the migrations had filled (prices, content types): every test may count on it.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.apps import apps
from django.core.management.color import no_style
from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.backends.utils import CursorWrapper
from pytest_django import DjangoDbBlocker

SEED = "seed_of_"
ATTEMPTS = 4

_flush = BaseDatabaseOperations.execute_sql_flush


def _flush_to_seed(operations: BaseDatabaseOperations, sql_list: Sequence[str]) -> None:
    """Empties everything or nothing. A thread or process that a test left behind may hold a lock: then once more."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _flush_once(operations, sql_list)
        except OperationalError:
            if attempt == ATTEMPTS:
                raise
            time.sleep(attempt)
        else:
            break


def _flush_once(operations: BaseDatabaseOperations, sql_list: Sequence[str]) -> None:
    connection = operations.connection
    with (
        transaction.atomic(using=connection.alias),
        connection.cursor() as cursor,
        _triggers_lifted(connection, cursor),
    ):
        _flush(operations, sql_list)
        seeded = [name for name in connection.introspection.table_names(cursor) if name.startswith(SEED)]
        for seed in seeded:
            cursor.execute(f'INSERT INTO "{seed.removeprefix(SEED)}" SELECT * FROM "{seed}"')
        # Rate limits live in this table; it has no model, so a flush passes it by.
        cursor.execute("DELETE FROM cache_entries")
    if any("RESTART IDENTITY" in statement for statement in sql_list):
        with connection.cursor() as cursor:
            for statement in operations.sequence_reset_sql(no_style(), apps.get_models(include_auto_created=True)):
                cursor.execute(statement)


def remember_seed(connection: BaseDatabaseWrapper) -> None:
    """Copy what the migrations brought, table by table, before the first test."""
    with connection.cursor() as cursor:
        for table in connection.introspection.django_table_names(only_existing=True, include_views=False):
            cursor.execute(f'DROP TABLE IF EXISTS "{SEED}{table}"')
            cursor.execute(f'SELECT 1 FROM "{table}" LIMIT 1')
            if cursor.fetchone():
                cursor.execute(f'CREATE TABLE "{SEED}{table}" AS SELECT * FROM "{table}"')


@contextmanager
def _triggers_lifted(connection: BaseDatabaseWrapper, cursor: CursorWrapper) -> Iterator[None]:
    """No trigger of ours fires until the block ends. Inside a transaction, so no other process ever sees them gone."""
    if connection.vendor == "postgresql":
        cursor.execute("SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal")
        tables = [row[0] for row in cursor.fetchall()]
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    else:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f'DROP TRIGGER "{name}"')
        yield
        for _, sql in triggers:
            cursor.execute(sql)


@pytest.fixture(scope="session", autouse=True)
def _flush_keeps_the_seed() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseOperations, "execute_sql_flush", _flush_to_seed)
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """SQLite tests use a file, as the product does: threads and processes meet in it as in life."""
    settings = connections["default"].settings_dict
    if settings["ENGINE"].endswith("sqlite3"):
        settings["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock():
        remember_seed(connections["default"])


@pytest.fixture
def process_environment(transactional_db: None) -> dict[str, str]:
    """The environment for a process of ours (`manage.py ...`) that shall work on the test's database."""
    name = str(connections["default"].settings_dict["NAME"])
    address = urlsplit(os.environ["DATABASE_URL"])
    url = f"sqlite:///{name}" if address.scheme == "sqlite" else urlunsplit(address._replace(path=f"/{name}"))
    return {**os.environ, "DATABASE_URL": url}

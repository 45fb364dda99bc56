"""Empties the database after transactional tests, and restores the rows that migrations inserted.

The triggers of append-only tables refuse UPDATE, DELETE and TRUNCATE, so Django's flush would fail. Here the flush
disables the triggers within its own transaction and restores the rows of the migrations (prices, content types).
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

# Tables with this prefix are copies that hold the rows inserted by migrations.
SEED_PREFIX = "seed_of_"
FLUSH_ATTEMPTS = 4

_flush = BaseDatabaseOperations.execute_sql_flush


def _flush_with_retries(operations: BaseDatabaseOperations, sql_list: Sequence[str]) -> None:
    """Flush in one transaction, retried because a thread or process that a test left behind may hold a lock."""
    for attempt in range(1, FLUSH_ATTEMPTS + 1):
        try:
            _flush_once(operations, sql_list)
        except OperationalError:
            if attempt == FLUSH_ATTEMPTS:
                raise
            time.sleep(attempt)
        else:
            break


def _flush_once(operations: BaseDatabaseOperations, sql_list: Sequence[str]) -> None:
    connection = operations.connection
    with (
        transaction.atomic(using=connection.alias),
        connection.cursor() as cursor,
        triggers_disabled(connection, cursor),
    ):
        _flush(operations, sql_list)
        copies = [name for name in connection.introspection.table_names(cursor) if name.startswith(SEED_PREFIX)]
        for copy in copies:
            cursor.execute(f'INSERT INTO "{copy.removeprefix(SEED_PREFIX)}" SELECT * FROM "{copy}"')
        # Rate limits are stored in this table, which has no model, so the flush does not include it.
        cursor.execute("DELETE FROM cache_entries")
    if any("RESTART IDENTITY" in statement for statement in sql_list):
        with connection.cursor() as cursor:
            for statement in operations.sequence_reset_sql(no_style(), apps.get_models(include_auto_created=True)):
                cursor.execute(statement)


def save_migrated_rows(connection: BaseDatabaseWrapper) -> None:
    """Copy the rows that the migrations inserted, before the first test."""
    with connection.cursor() as cursor:
        for table in connection.introspection.django_table_names(only_existing=True, include_views=False):
            cursor.execute(f'DROP TABLE IF EXISTS "{SEED_PREFIX}{table}"')
            cursor.execute(f'SELECT 1 FROM "{table}" LIMIT 1')
            if cursor.fetchone():
                cursor.execute(f'CREATE TABLE "{SEED_PREFIX}{table}" AS SELECT * FROM "{table}"')


@contextmanager
def triggers_disabled(connection: BaseDatabaseWrapper, cursor: CursorWrapper) -> Iterator[None]:
    """Disable our triggers until the block ends; call it in a transaction, so that no other process is affected."""
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
def _flush_restores_migrated_rows() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseOperations, "execute_sql_flush", _flush_with_retries)
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Use a file for SQLite, as in production, so that threads and processes share it."""
    settings = connections["default"].settings_dict
    if settings["ENGINE"].endswith("sqlite3"):
        settings["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock():
        save_migrated_rows(connections["default"])


@pytest.fixture
def process_environment(transactional_db: None) -> dict[str, str]:
    """The environment for a process (`manage.py ...`) that uses the test's database."""
    name = str(connections["default"].settings_dict["NAME"])
    address = urlsplit(os.environ["DATABASE_URL"])
    url = f"sqlite:///{name}" if address.scheme == "sqlite" else urlunsplit(address._replace(path=f"/{name}"))
    return {**os.environ, "DATABASE_URL": url}

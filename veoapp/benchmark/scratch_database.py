"""Creates an empty database on the configured server and drops it afterwards, also after an error."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.management import call_command
from django.db import connection, connections

PREFIX = "veoapp_benchmark_"


@contextmanager
def open_database() -> Iterator[str]:
    """Use a new, empty, migrated database as `default` within the block; yields its name."""
    if connection.in_atomic_block:
        raise RuntimeError("not allowed within a transaction, because the connection will use another database")
    original_name = connection.settings_dict["NAME"]
    with _create_database() as name:
        connections.close_all()
        connection.settings_dict["NAME"] = name
        try:
            call_command("migrate", verbosity=0, interactive=False)
            call_command("createcachetable", verbosity=0)
            yield str(name)
        finally:
            connections.close_all()
            connection.settings_dict["NAME"] = original_name


@contextmanager
def _create_database() -> Iterator[str | Path]:
    # The name is random, so that no other database can be dropped at the end.
    name = f"{PREFIX}{secrets.token_hex(6)}"
    if connection.vendor == "sqlite":
        with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
            yield Path(folder) / f"{name}.sqlite3"
        return
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
    try:
        yield name
    finally:
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

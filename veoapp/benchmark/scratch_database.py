"""A database of the benchmark's own, on the configured server: made, migrated, and dropped again, however it ends."""

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
    """While the block runs, `default` is an empty database with all tables; yields its name. The real rows are never seen."""
    if connection.in_atomic_block:
        raise RuntimeError("not within a transaction: the connection is about to speak to another database")
    before = connection.settings_dict["NAME"]
    with _made() as name:
        connections.close_all()
        connection.settings_dict["NAME"] = name
        try:
            call_command("migrate", verbosity=0, interactive=False)
            call_command("createcachetable", verbosity=0)
            yield str(name)
        finally:
            connections.close_all()
            connection.settings_dict["NAME"] = before


@contextmanager
def _made() -> Iterator[str | Path]:
    # Random, and made by us in this moment: it can be nobody else's.
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

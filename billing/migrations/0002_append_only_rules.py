"""Triggers that make the ledger, the provider's entries and the file decisions append-only, on PostgreSQL and SQLite.

SQLite's `INSERT OR REPLACE` removes rows without firing DELETE triggers, so SQLite gets one more trigger per table.
"""

from typing import NamedTuple

from django.core.management.base import CommandError
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.recorder import MigrationRecorder


class AppendOnly(NamedTuple):
    """One table: the stem of its triggers' names, what the refusal says, and when an inserted row would replace another."""

    table: str
    stem: str
    message: str
    replaces: str


TABLES = [
    AppendOnly(
        "billing_ledgerentry",
        "ledger",
        "ledger entries are append-only",
        "entry.id = NEW.id OR entry.idempotency_key = NEW.idempotency_key OR entry.reverses_id = NEW.reverses_id",
    ),
    AppendOnly(
        "billing_providerentry",
        "provider_entry",
        "provider entries are append-only",
        "entry.id = NEW.id OR entry.idempotency_key = NEW.idempotency_key",
    ),
    AppendOnly(
        "billing_fileanswer",
        "file_answer",
        "answers about files are append-only",
        "entry.id = NEW.id OR (entry.reference = NEW.reference AND entry.kind = NEW.kind)",
    ),
]


def create(apps, editor: BaseDatabaseSchemaEditor) -> None:
    if ("billing", "0002_append_only_ledger") in MigrationRecorder(editor.connection).applied_migrations():
        raise CommandError(
            "This database was made by a development version from before 0.1.0, and its tables differ. There is no way "
            "to upgrade it: delete it (by default var/db.sqlite3) and run `manage.py migrate` again."
        )
    for rule in TABLES:
        for statement in _postgresql(rule) if editor.connection.vendor == "postgresql" else _sqlite(rule):
            editor.execute(statement)


def drop(apps, editor: BaseDatabaseSchemaEditor) -> None:
    for rule in TABLES:
        if editor.connection.vendor == "postgresql":
            editor.execute(f"DROP TRIGGER veoapp_{rule.stem}_no_truncate ON {rule.table}")
            editor.execute(f"DROP TRIGGER veoapp_{rule.stem}_no_change ON {rule.table}")
            editor.execute(f"DROP FUNCTION veoapp_{rule.stem}_append_only()")
        else:
            for event in ("update", "delete", "replace"):
                editor.execute(f"DROP TRIGGER veoapp_{rule.stem}_no_{event}")


def _postgresql(rule: AppendOnly) -> list[str]:
    function = f"veoapp_{rule.stem}_append_only"
    return [
        f"""
        CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '{rule.message}' USING ERRCODE = 'integrity_constraint_violation';
        END $$
        """,
        f"""
        CREATE TRIGGER veoapp_{rule.stem}_no_change BEFORE UPDATE OR DELETE ON {rule.table}
        FOR EACH ROW EXECUTE FUNCTION {function}()
        """,
        f"""
        CREATE TRIGGER veoapp_{rule.stem}_no_truncate BEFORE TRUNCATE ON {rule.table}
        FOR EACH STATEMENT EXECUTE FUNCTION {function}()
        """,
    ]


def _sqlite(rule: AppendOnly) -> list[str]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{rule.message}'); END"
    changes = [
        f"CREATE TRIGGER veoapp_{rule.stem}_no_{event.lower()} BEFORE {event} ON {rule.table} {refuse}"
        for event in ("UPDATE", "DELETE")
    ]
    replacing = f"""
        CREATE TRIGGER veoapp_{rule.stem}_no_replace BEFORE INSERT ON {rule.table}
        WHEN EXISTS (SELECT 1 FROM {rule.table} AS entry WHERE {rule.replaces})
        {refuse}
    """
    return [*changes, replacing]


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]
    operations = [migrations.RunPython(create, drop)]

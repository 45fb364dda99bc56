"""The provider's entries are append-only as the ledger is, and the database itself says so, on PostgreSQL and on SQLite.

SQLite's `INSERT OR REPLACE` removes rows without asking the triggers of DELETE: refused by a trigger of its own.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

POSTGRESQL = """
CREATE FUNCTION veoapp_provider_entry_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'provider entries are append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER veoapp_provider_entry_no_change BEFORE UPDATE OR DELETE ON billing_providerentry
    FOR EACH ROW EXECUTE FUNCTION veoapp_provider_entry_append_only();
CREATE TRIGGER veoapp_provider_entry_no_truncate BEFORE TRUNCATE ON billing_providerentry
    FOR EACH STATEMENT EXECUTE FUNCTION veoapp_provider_entry_append_only();
"""
POSTGRESQL_BACK = """
DROP TRIGGER veoapp_provider_entry_no_truncate ON billing_providerentry;
DROP TRIGGER veoapp_provider_entry_no_change ON billing_providerentry;
DROP FUNCTION veoapp_provider_entry_append_only();
"""
SQLITE = [
    *(
        f"""
        CREATE TRIGGER veoapp_provider_entry_no_{act.lower()} BEFORE {act} ON billing_providerentry
        BEGIN SELECT RAISE(ABORT, 'provider entries are append-only'); END
        """
        for act in ("UPDATE", "DELETE")
    ),
    """
    CREATE TRIGGER veoapp_provider_entry_no_replace BEFORE INSERT ON billing_providerentry
    WHEN EXISTS (
        SELECT 1 FROM billing_providerentry AS entry
        WHERE entry.id = NEW.id OR entry.idempotency_key = NEW.idempotency_key
    )
    BEGIN SELECT RAISE(ABORT, 'provider entries are append-only'); END
    """,
]
SQLITE_BACK = [f"DROP TRIGGER veoapp_provider_entry_no_{act}" for act in ("update", "delete", "replace")]


def forwards(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    for statement in [POSTGRESQL] if editor.connection.vendor == "postgresql" else SQLITE:
        editor.execute(statement)


def backwards(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    for statement in [POSTGRESQL_BACK] if editor.connection.vendor == "postgresql" else SQLITE_BACK:
        editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("billing", "0011_order_of_totals")]
    operations = [migrations.RunPython(forwards, backwards)]

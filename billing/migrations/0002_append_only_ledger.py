"""The ledger is append-only, and the database itself says so, on PostgreSQL and on SQLite."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

POSTGRESQL = """
CREATE FUNCTION veoapp_ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger entries are append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER veoapp_ledger_no_change BEFORE UPDATE OR DELETE ON billing_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION veoapp_ledger_append_only();
CREATE TRIGGER veoapp_ledger_no_truncate BEFORE TRUNCATE ON billing_ledgerentry
    FOR EACH STATEMENT EXECUTE FUNCTION veoapp_ledger_append_only();
"""
POSTGRESQL_BACK = """
DROP TRIGGER veoapp_ledger_no_truncate ON billing_ledgerentry;
DROP TRIGGER veoapp_ledger_no_change ON billing_ledgerentry;
DROP FUNCTION veoapp_ledger_append_only();
"""
SQLITE = [
    f"""
    CREATE TRIGGER veoapp_ledger_no_{act.lower()} BEFORE {act} ON billing_ledgerentry
    BEGIN SELECT RAISE(ABORT, 'ledger entries are append-only'); END
    """
    for act in ("UPDATE", "DELETE")
]
SQLITE_BACK = [f"DROP TRIGGER veoapp_ledger_no_{act}" for act in ("update", "delete")]


def forwards(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    for statement in [POSTGRESQL] if editor.connection.vendor == "postgresql" else SQLITE:
        editor.execute(statement)


def backwards(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    for statement in [POSTGRESQL_BACK] if editor.connection.vendor == "postgresql" else SQLITE_BACK:
        editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]
    operations = [migrations.RunPython(forwards, backwards)]

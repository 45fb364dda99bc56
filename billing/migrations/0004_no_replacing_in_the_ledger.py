"""SQLite's `INSERT OR REPLACE` removes rows without asking the triggers of DELETE: refused by a trigger of its own."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

SQLITE = """
CREATE TRIGGER veoapp_ledger_no_replace BEFORE INSERT ON billing_ledgerentry
WHEN EXISTS (
    SELECT 1 FROM billing_ledgerentry AS entry
    WHERE entry.id = NEW.id OR entry.idempotency_key = NEW.idempotency_key OR entry.reverses_id = NEW.reverses_id
)
BEGIN SELECT RAISE(ABORT, 'ledger entries are append-only'); END
"""


def forwards(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "sqlite":
        editor.execute(SQLITE)


def backwards(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "sqlite":
        editor.execute("DROP TRIGGER veoapp_ledger_no_replace")


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_prices_of_2026_06_09")]
    operations = [migrations.RunPython(forwards, backwards)]

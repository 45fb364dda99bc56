"""Answers about files: appended only as the ledger is, and the database itself says so, on PostgreSQL and on SQLite.

SQLite's `INSERT OR REPLACE` removes rows without asking the triggers of DELETE: refused by a trigger of its own.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import accounts.doors.clock

POSTGRESQL = """
CREATE FUNCTION veoapp_file_answer_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'answers about files are append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER veoapp_file_answer_no_change BEFORE UPDATE OR DELETE ON billing_fileanswer
    FOR EACH ROW EXECUTE FUNCTION veoapp_file_answer_append_only();
CREATE TRIGGER veoapp_file_answer_no_truncate BEFORE TRUNCATE ON billing_fileanswer
    FOR EACH STATEMENT EXECUTE FUNCTION veoapp_file_answer_append_only();
"""
POSTGRESQL_BACK = """
DROP TRIGGER veoapp_file_answer_no_truncate ON billing_fileanswer;
DROP TRIGGER veoapp_file_answer_no_change ON billing_fileanswer;
DROP FUNCTION veoapp_file_answer_append_only();
"""
SQLITE = [
    *(
        f"""
        CREATE TRIGGER veoapp_file_answer_no_{act.lower()} BEFORE {act} ON billing_fileanswer
        BEGIN SELECT RAISE(ABORT, 'answers about files are append-only'); END
        """
        for act in ("UPDATE", "DELETE")
    ),
    """
    CREATE TRIGGER veoapp_file_answer_no_replace BEFORE INSERT ON billing_fileanswer
    WHEN EXISTS (
        SELECT 1 FROM billing_fileanswer AS answer
        WHERE answer.id = NEW.id OR (answer.reference = NEW.reference AND answer.kind = NEW.kind)
    )
    BEGIN SELECT RAISE(ABORT, 'answers about files are append-only'); END
    """,
]
SQLITE_BACK = [f"DROP TRIGGER veoapp_file_answer_no_{act}" for act in ("update", "delete", "replace")]


def forwards(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    for statement in [POSTGRESQL] if editor.connection.vendor == "postgresql" else SQLITE:
        editor.execute(statement)


def backwards(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    for statement in [POSTGRESQL_BACK] if editor.connection.vendor == "postgresql" else SQLITE_BACK:
        editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("billing", "0018_gathered_causes"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.CreateModel(
            name="FileAnswer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reference", models.CharField(max_length=300, verbose_name="reference")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("missing", "Stored, but the file is not there"),
                            ("unpaid_file", "Delivered, and cost us nothing"),
                            ("paid_without_file", "Paid, but there is no file"),
                            ("late", "Delivered free, after its refund"),
                            ("stray", "On the disk, but no video’s"),
                        ],
                        max_length=20,
                        verbose_name="difference",
                    ),
                ),
                (
                    "provider_credits",
                    models.DecimalField(
                        decimal_places=4,
                        help_text="What the job had cost when it was answered.",
                        max_digits=12,
                        verbose_name="provider credits",
                    ),
                ),
                ("reason", models.CharField(max_length=500, verbose_name="reason")),
                (
                    "at",
                    models.DateTimeField(default=accounts.doors.clock.now, editable=False, verbose_name="at"),
                ),
                (
                    "actor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="actor",
                    ),
                ),
            ],
            options={
                "verbose_name": "answer about a file",
                "verbose_name_plural": "answers about files",
                "ordering": ("-at", "-id"),
                "constraints": [
                    models.UniqueConstraint(fields=("reference", "kind"), name="file_answer_one_per_difference"),
                    models.CheckConstraint(condition=~models.Q(reason=""), name="file_answer_has_reason"),
                ],
            },
        ),
        migrations.RunPython(forwards, backwards),
    ]

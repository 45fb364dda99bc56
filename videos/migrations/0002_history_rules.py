"""Triggers: a final status never changes, a provider task id is never replaced, a task event is never edited."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

POSTGRESQL = """
CREATE FUNCTION veoapp_task_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status IN ('ready', 'failed', 'cancelled') AND NEW.status <> OLD.status THEN
        RAISE EXCEPTION 'a final task never changes its status' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.provider_task_id IS NOT NULL AND NEW.provider_task_id IS DISTINCT FROM OLD.provider_task_id THEN
        RAISE EXCEPTION 'a provider task id never changes' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER veoapp_task_history BEFORE UPDATE ON videos_videotask
    FOR EACH ROW EXECUTE FUNCTION veoapp_task_history();
CREATE FUNCTION veoapp_event_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'task events are append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER veoapp_event_no_change BEFORE UPDATE ON videos_taskevent
    FOR EACH ROW EXECUTE FUNCTION veoapp_event_append_only();
"""
POSTGRESQL_BACK = """
DROP TRIGGER veoapp_event_no_change ON videos_taskevent;
DROP FUNCTION veoapp_event_append_only();
DROP TRIGGER veoapp_task_history ON videos_videotask;
DROP FUNCTION veoapp_task_history();
"""
SQLITE = [
    """
    CREATE TRIGGER veoapp_task_final BEFORE UPDATE OF status ON videos_videotask
    WHEN OLD.status IN ('ready', 'failed', 'cancelled') AND NEW.status <> OLD.status
    BEGIN SELECT RAISE(ABORT, 'a final task never changes its status'); END
    """,
    """
    CREATE TRIGGER veoapp_task_provider_id BEFORE UPDATE OF provider_task_id ON videos_videotask
    WHEN OLD.provider_task_id IS NOT NULL AND NEW.provider_task_id IS NOT OLD.provider_task_id
    BEGIN SELECT RAISE(ABORT, 'a provider task id never changes'); END
    """,
    """
    CREATE TRIGGER veoapp_event_no_change BEFORE UPDATE ON videos_taskevent
    BEGIN SELECT RAISE(ABORT, 'task events are append-only'); END
    """,
]
SQLITE_BACK = [
    "DROP TRIGGER veoapp_task_final",
    "DROP TRIGGER veoapp_task_provider_id",
    "DROP TRIGGER veoapp_event_no_change",
]


def forwards(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    for statement in [POSTGRESQL] if editor.connection.vendor == "postgresql" else SQLITE:
        editor.execute(statement)


def backwards(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    for statement in [POSTGRESQL_BACK] if editor.connection.vendor == "postgresql" else SQLITE_BACK:
        editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("videos", "0001_initial"), ("billing", "0002_append_only_rules")]
    operations = [migrations.RunPython(forwards, backwards)]

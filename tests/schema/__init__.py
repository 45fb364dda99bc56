"""The schema of a new database as text, independent of how the migrations build it.

`describe(connection)` lists columns, constraints, indexes, triggers and trigger functions, one on each line, sorted.
`postgresql.txt` and `sqlite.txt` contain the expected lines.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

FOLDER = Path(__file__).parent
APPS = ("accounts_", "billing_", "videos_")
# Django appends a hash of table and columns to the names it generates.
GENERATED_HASH = re.compile(r"_[0-9a-f]{8}(?=_|\b)")


def read_expected(vendor: str) -> list[str]:
    return (FOLDER / f"{vendor}.txt").read_text(encoding="utf-8").splitlines()


def describe(connection: BaseDatabaseWrapper) -> list[str]:
    """The schema of our tables in this database, as sorted lines."""
    lines = _describe_postgresql(connection) if connection.vendor == "postgresql" else _describe_sqlite(connection)
    return sorted(" ".join(GENERATED_HASH.sub("_#", line).split()) for line in lines)


def _describe_postgresql(connection: BaseDatabaseWrapper) -> Iterator[str]:
    statements = {
        "column": """
            SELECT table_name, column_name || ' ' || data_type || coalesce('(' || character_maximum_length || ')', '')
                || coalesce(' ' || CASE WHEN data_type = 'numeric' THEN numeric_precision || ',' || numeric_scale END, '')
                || ' ' || CASE is_nullable WHEN 'NO' THEN 'NOT NULL' ELSE 'NULL' END
                || coalesce(' DEFAULT ' || column_default, '')
            FROM information_schema.columns WHERE table_schema = 'public'""",
        "constraint": """
            SELECT conrelid::regclass::text, conname || ' ' || pg_get_constraintdef(oid)
            FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'""",
        "index": "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "trigger": """
            SELECT tgrelid::regclass::text, pg_get_triggerdef(pg_trigger.oid) || ' ' || prosrc
            FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal""",
    }
    with connection.cursor() as cursor:
        for kind, statement in statements.items():
            cursor.execute(statement)
            for table, definition in cursor.fetchall():
                if table.startswith(APPS):
                    yield f"{table}: {kind} {definition}"


def _describe_sqlite(connection: BaseDatabaseWrapper) -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT type, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        for kind, table, sql in cursor.fetchall():
            if not table.startswith(APPS):
                continue
            if kind == "table":
                for part in _split_at_commas(sql[sql.index("(") + 1 : sql.rindex(")")]):
                    yield f"{table}: {part}"
            else:
                yield f"{table}: {kind} {sql}"


def _split_at_commas(text: str) -> Iterator[str]:
    """The parts of a list in SQL, not split inside parentheses and quotes."""
    depth, quote, start = 0, "", 0
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "," and depth == 0:
            yield text[start:position]
            start = position + 1
    yield text[start:]

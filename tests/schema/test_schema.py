"""A new database has exactly the columns, constraints, indexes and triggers listed in tests/schema."""

import pytest
from django.db import connection

from tests import schema


@pytest.mark.django_db
def test_a_new_database_matches_the_listed_schema() -> None:
    assert schema.describe(connection) == schema.read_expected(connection.vendor)


@pytest.mark.django_db
def test_the_schema_lists_the_triggers_of_append_only_tables() -> None:
    lines = schema.read_expected(connection.vendor)
    for table in (
        "billing_ledgerentry",
        "billing_providerentry",
        "billing_fileanswer",
        "videos_taskevent",
        "videos_videotask",
    ):
        assert any(line.startswith(f"{table}: trigger ") for line in lines), table

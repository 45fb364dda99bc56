"""A fresh database has every column, constraint, index and trigger that is written down for it."""

import pytest
from django.db import connection

from tests.setup import schema


@pytest.mark.django_db
def test_a_fresh_database_has_every_rule_that_is_written_down() -> None:
    assert schema.describe(connection) == schema.expected(connection.vendor)


@pytest.mark.django_db
def test_the_rules_that_guard_the_books_are_written_down() -> None:
    lines = schema.expected(connection.vendor)
    for table in (
        "billing_ledgerentry",
        "billing_providerentry",
        "billing_fileanswer",
        "videos_taskevent",
        "videos_videotask",
    ):
        assert any(line.startswith(f"{table}: trigger ") for line in lines), table

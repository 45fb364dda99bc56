"""Alerts told before they kept facts name nobody by address."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from billing import alerts
from billing.models import Alert

pytestmark = pytest.mark.django_db


def test_what_was_told_of_a_burst_names_its_user_by_number() -> None:
    told = "alice@example.com ordered 31 videos in ten minutes; their usual: 0. It waits for a person."
    kept = {
        alerts.raise_alert(Alert.Kind.USER_BURST, cause="user 5", detail=told).pk: told.replace(
            "alice@example.com", "user 5"
        ),
        alerts.raise_alert(Alert.Kind.USER_BURST, cause="user 6", detail="odd").pk: "odd",
        alerts.raise_alert(Alert.Kind.STORAGE, detail="who ordered this").pk: "who ordered this",
    }
    migration = import_module("billing.migrations.0015_alert_facts")
    for _ in range(2):
        migration.name_by_number(apps, connection.schema_editor())
        assert dict(Alert.objects.values_list("pk", "detail")) == kept

"""What was sent before there were budget windows counts in those of this hour, day and month, as all that is sent later.

Without it the first month's limits would not know what is used already.
"""

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import cast

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import F, Q

from accounts.doors import clock
from billing.windows import Window, window

AT_ONCE = 1000
PERIODS = ("hour", "day", "month")


def forwards(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    spends, windows = apps.get_model("billing", "Spend").objects, apps.get_model("billing", "BudgetWindow").objects
    since = window("month", clock.now()).starts_at
    uncounted = spends.filter(Q(state="promised") | Q(state="settled", actual__gt=0), promised_at__gte=since, counted=0)
    amounts: dict[int, Decimal] = {}
    places: dict[int, list[tuple[str, Window]]] = {}
    used: dict[tuple[str, Window], Decimal] = defaultdict(Decimal)
    for pk, user_id, model, at, estimated, actual in uncounted.values_list(
        "pk", "user_id", "model", "promised_at", "estimated", "actual"
    ):
        amounts[pk] = estimated if actual is None else actual
        scopes = ("all", f"user:{user_id}", f"model:{model}")
        places[pk] = [(scope, window(period, cast(datetime, at))) for scope in scopes for period in PERIODS]
        for place in places[pk]:
            used[place] += amounts[pk]
    ids: dict[tuple[str, Window], int] = {}
    for scope, one in used:
        row, _ = windows.get_or_create(
            scope=scope, period=one.period, starts_at=one.starts_at, defaults={"ends_at": one.ends_at}
        )
        windows.filter(pk=row.pk).update(used=F("used") + used[scope, one])
        ids[scope, one] = row.pk
    spends.bulk_update(
        [
            spends.model(pk=pk, counted=amount, counted_in=[ids[place] for place in places[pk]])
            for pk, amount in amounts.items()
        ],
        ["counted", "counted_in"],
        batch_size=AT_ONCE,
    )


class Migration(migrations.Migration):
    dependencies = [("billing", "0013_unexplained")]
    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]

"""What accounts held before there were lots becomes one lot of each, without an end."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Exists, OuterRef

AT_ONCE = 1000


def forwards(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    lots = apps.get_model("billing", "CreditLot").objects
    accounts = apps.get_model("billing", "CreditAccount").objects
    bare = accounts.filter(~Exists(lots.filter(account=OuterRef("pk"))), balance__gt=0)
    lots.bulk_create(
        (
            lots.model(account_id=pk, granted=balance, remaining=balance)
            for pk, balance in bare.order_by("pk").values_list("pk", "balance")
        ),
        batch_size=AT_ONCE,
    )


class Migration(migrations.Migration):
    dependencies = [("billing", "0008_alert_news")]
    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]

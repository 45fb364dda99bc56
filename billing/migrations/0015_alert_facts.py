"""Alerts keep the facts that they tell of. And those told before name a user by number, not by address: the address is
looked up where it is shown, so that nothing is left to forget when somebody leaves.
"""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# Bursts were told as "<address> ordered 31 videos in ten minutes; ...".
SAYS = " ordered "


def name_by_number(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    alerts = apps.get_model("billing", "Alert").objects
    for pk, cause, detail in alerts.filter(kind="user_burst").values_list("pk", "cause", "detail"):
        _address, found, rest = detail.partition(SAYS)
        if found:
            alerts.filter(pk=pk).update(detail=f"{cause}{SAYS}{rest}")


class Migration(migrations.Migration):
    dependencies = [("billing", "0014_windows_of_old_spends")]
    operations = [
        migrations.AddField(
            model_name="alert",
            name="facts",
            field=models.JSONField(blank=True, default=dict, verbose_name="facts"),
        ),
        migrations.AlterModelOptions(
            name="booksrun",
            options={"ordering": ("-at",), "verbose_name": "book check", "verbose_name_plural": "book checks"},
        ),
        migrations.AlterModelOptions(
            name="watchtrip",
            options={
                "ordering": ("-at", "-id"),
                "verbose_name": "stop by the spending watch",
                "verbose_name_plural": "stops by the spending watch",
            },
        ),
        migrations.RunPython(name_by_number, migrations.RunPython.noop),
    ]

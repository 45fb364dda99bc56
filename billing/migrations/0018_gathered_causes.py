"""Jobs of which one alert tells for all, for they were too many to tell of each; and a daily summary that never arrived."""

from django.db import migrations, models
from django.db.models import Q

import accounts.doors.clock


class Migration(migrations.Migration):
    dependencies = [("billing", "0017_books_counts")]
    operations = [
        migrations.CreateModel(
            name="GatheredCause",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=24)),
                ("cause", models.CharField(max_length=200)),
                ("reference", models.CharField(db_index=True, max_length=200)),
                ("told_at", models.DateTimeField(default=accounts.doors.clock.now)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [models.Index(fields=["kind"], name="gathered_open", condition=Q(ended_at=None))],
                "constraints": [models.UniqueConstraint(fields=["kind", "cause"], name="gathered_once")],
            },
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(fields=["kind", "cause"], name="alert_open_kind", condition=Q(resolved_at=None)),
        ),
        migrations.AlterField(
            model_name="alert",
            name="kind",
            field=models.CharField(
                choices=[
                    ("low_balance", "Provider balance is low"),
                    ("critical_balance", "Provider balance is critical: new work waits"),
                    ("out_of_credits", "Provider says: out of credits"),
                    ("access_denied", "Provider refuses our key or address"),
                    ("provider_trouble", "Provider trouble: breaker open"),
                    ("unconfirmed", "A paid request is unconfirmed"),
                    ("possible_spend", "Refunded although the provider may have charged"),
                    ("delayed", "A video takes unusually long"),
                    ("not_visible", "The provider does not know a task of ours"),
                    ("odd_answer", "The provider answers in a way we do not know"),
                    ("forbidden_address", "A result points to a forbidden address"),
                    ("undownloaded", "A result cannot be downloaded"),
                    ("orphan_callback", "A callback for no task of ours"),
                    ("bad_signature", "A callback's signature is wrong"),
                    ("storage", "Media storage has trouble"),
                    ("worker", "The worker was restarted"),
                    ("books", "The books do not balance"),
                    ("books_late", "The books were not looked at for long"),
                    ("late_result", "A video came after its refund"),
                    ("budget_soft", "A budget is almost spent"),
                    ("budget_hard", "A budget is spent: new work waits"),
                    ("unusual_spend", "Unusual spending"),
                    ("failure_rate", "Unusually many videos fail"),
                    ("user_burst", "One user orders unusually much"),
                    ("unexplained_spend", "Provider credits are gone that no video explains"),
                    ("price_changed", "The provider charges another price"),
                    ("negative_margin", "A price is below what it costs us"),
                    ("callbacks_dry", "Callbacks stopped coming"),
                    ("summary_unsent", "The daily summary was not sent"),
                    ("test", "A test"),
                ],
                max_length=24,
                verbose_name="kind",
            ),
        ),
    ]

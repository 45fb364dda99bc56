"""The ledger by time: sums over everybody's movements of a stretch of time read that stretch alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0019_file_answers")]
    operations = [
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(fields=["created_at"], name="ledger_by_time"),
        ),
    ]

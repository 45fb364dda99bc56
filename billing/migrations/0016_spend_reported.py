"""What the provider took for each item lately, by an index: the last costs of a rare one are not crowded out."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("billing", "0015_alert_facts")]
    operations = [
        migrations.AddIndex(
            model_name="spend",
            index=models.Index(
                fields=["model", "resolution", "kind", "-settled_at"],
                name="spend_reported",
                condition=Q(state="settled", basis="reported"),
            ),
        ),
    ]

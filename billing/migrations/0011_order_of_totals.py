from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0010_breaker_windows")]

    operations = [
        migrations.RemoveConstraint(model_name="total", name="total_one"),
        migrations.AddConstraint(
            model_name="total",
            constraint=models.UniqueConstraint(
                fields=("user_id", "period", "starts_at", "measure", "model", "label"), name="total_one"
            ),
        ),
        migrations.AddIndex(
            model_name="total",
            index=models.Index(
                condition=models.Q(("user_id__gt", 0)),
                fields=["period", "measure", "starts_at", "user_id", "amount"],
                name="total_ranking",
            ),
        ),
    ]

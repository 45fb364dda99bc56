"""The operators' list and today's figures read the newest first, however long the history is."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("videos", "0003_notified_at")]

    operations = [
        migrations.AddIndex(
            model_name="videotask",
            index=models.Index(fields=["-created_at"], name="task_newest"),
        ),
    ]

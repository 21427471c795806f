"""Reasons of events under a salted commitment: what the chain holds of a new one tells nothing once its salt is gone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0002_closings")]

    operations = [
        migrations.AddField("event", "salt", models.CharField(blank=True, default="", max_length=64)),
        migrations.AddField("event", "sealed", models.CharField(blank=True, default="", max_length=64)),
    ]

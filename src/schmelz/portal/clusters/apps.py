from django.apps import AppConfig


class Config(AppConfig):
    name = "schmelz.portal.clusters"
    label = "clusters"
    default_auto_field = "django.db.models.BigAutoField"

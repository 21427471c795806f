from django.apps import AppConfig


class Config(AppConfig):
    name = "schmelz.portal.calls"
    label = "calls"
    default_auto_field = "django.db.models.BigAutoField"

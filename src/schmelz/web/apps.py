from django.apps import AppConfig


class Config(AppConfig):
    name = "schmelz.web"
    label = "web"

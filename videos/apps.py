from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class VideosConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "videos"
    verbose_name = _("Videos")

    def ready(self) -> None:
        """Receivers need the models, which are there only now; billing needs the names of what we make and was ordered."""
        import_module("videos.receivers")
        import_module("videos.ordering.catalogue")
        import_module("videos.ordering.statement_lines")

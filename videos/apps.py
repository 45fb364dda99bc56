from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class VideosConfig(AppConfig):
    """Videos: ordering, generation, storage and the pages about them."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "videos"
    verbose_name = _("Videos")

    def ready(self) -> None:
        """Import the modules that connect receivers and register names with billing; they need the loaded models."""
        import_module("videos.receivers")
        import_module("videos.ordering.catalogue")
        import_module("videos.ordering.statement_lines")

from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BillingConfig(AppConfig):
    """Credits of people, and what their videos cost us at the provider."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "billing"
    verbose_name = _("Credits and cost")

    def ready(self) -> None:
        """Receivers need the models, which are there only now."""
        import_module("billing.receivers")

from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BillingConfig(AppConfig):
    """Users' credits, and what their videos cost at the provider."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "billing"
    verbose_name = _("Credits and cost")

    def ready(self) -> None:
        """Connect the signal receivers, which need the models."""
        import_module("billing.receivers")

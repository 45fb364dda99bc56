from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """People: who they are, how they sign in, what they prefer; and the doors that every app walks through."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "accounts"
    verbose_name = _("People")

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.core.checks import Tags, register

from veoapp import checks


class VeoappConfig(AppConfig):
    """Registers the system checks."""

    name = "veoapp"

    def ready(self) -> None:
        register(checks.check_secrets, Tags.security)
        register(checks.check_site_addresses, Tags.urls)
        register(checks.check_limits)
        register(checks.check_alert_settings)
        register(checks.check_provider, deploy=True)
        register(checks.check_mail_backend, deploy=True)


class VeoappAdminConfig(AdminConfig):
    """Django's admin with our site class, which adds pages and uses the sign-in page of the whole site."""

    default_site = "veoapp.operator_pages.admin_site.VeoappAdminSite"

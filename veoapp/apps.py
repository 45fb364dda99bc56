from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.core.checks import Tags, register

from veoapp import checks


class VeoappConfig(AppConfig):
    """The wiring: settings, addresses, schedules, static files, and the commands that start everything."""

    name = "veoapp"

    def ready(self) -> None:
        register(checks.secrets_are_set, Tags.security)
        register(checks.addresses_are_usable, Tags.urls)
        register(checks.limits_make_sense)
        register(checks.alerts_can_be_told)
        register(checks.provider_is_reachable, deploy=True)
        register(checks.mail_is_sent, deploy=True)


class VeoappAdminConfig(AdminConfig):
    """Django's admin in our dress, behind the same login as everything else."""

    default_site = "veoapp.operator_pages.admin_site.VeoappAdminSite"

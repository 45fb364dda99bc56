from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class VeoappConfig(AppConfig):
    """The wiring: settings, addresses, schedules, static files, and the commands that start everything."""

    name = "veoapp"


class VeoappAdminConfig(AdminConfig):
    """Django's admin in our dress, behind the same login as everything else."""

    default_site = "veoapp.admin_site.VeoappAdminSite"

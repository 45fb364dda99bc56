"""The operators' site: Django admin behind the same login as everything else."""

from django.contrib.admin import AdminSite
from django.utils.translation import gettext_lazy as _


class VeoappAdminSite(AdminSite):
    """Django admin, signed in to through allauth (`veoapp.urls` wraps its login)."""

    site_title = _("veoapp operators")
    site_header = _("veoapp operators")
    index_title = _("Operations")

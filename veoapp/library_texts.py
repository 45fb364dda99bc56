"""Texts of Django and allauth that our catalogue translates differently.

Nothing imports this: gettext uses our catalogue first, and this module only marks the texts for `makemessages`.
"""

from django.utils.translation import gettext_noop

TEXTS = (
    gettext_noop("Add link"),
    gettext_noop("Change or view list link"),
    gettext_noop("Email address"),
    gettext_noop("Enter a valid email address."),
    gettext_noop("Model name"),
)

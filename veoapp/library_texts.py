"""Texts of Django and allauth that our catalogue translates differently.

Nothing imports this module. It only makes `makemessages` put the texts into our catalogue, which Django reads before
those of its own and of allauth.
"""

from django.utils.translation import gettext_noop

TEXTS = (
    gettext_noop("Add link"),
    gettext_noop("Change or view list link"),
    gettext_noop("Email address"),
    gettext_noop("Enter a valid email address."),
    gettext_noop("Model name"),
)

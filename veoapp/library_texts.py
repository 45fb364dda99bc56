"""Texts of Django and allauth that people meet on our pages and that our catalogue says in its own words.

Nothing imports this: gettext looks into our catalogue first, and collects here what has to be in it.
"""

from django.utils.translation import gettext_noop

TEXTS = (
    gettext_noop("Add link"),
    gettext_noop("Change or view list link"),
    gettext_noop("Email address"),
    gettext_noop("Enter a valid email address."),
    gettext_noop("Model name"),
)

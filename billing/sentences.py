"""Sentences that follow each other."""

from collections.abc import Iterable

from django.utils.translation import gettext as _


def joined(sentences: Iterable[str]) -> str:
    """One after the other, set apart as the language does: Chinese leaves no space. Empty ones are left out."""
    text = ""
    for sentence in filter(None, sentences):
        text = _("%(before)s %(after)s") % {"before": text, "after": sentence} if text else sentence
    return text

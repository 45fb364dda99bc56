"""Every package says at its head what it is responsible for."""

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module

import pytest

APPS = ("accounts", "billing", "videos", "veoapp")
# A capital letter, at least four words, and a full stop.
SENTENCE = re.compile(r"^[A-Z`\"'](?:\S*\s+){3,}\S*[.:]", re.MULTILINE)
# Django finds these packages by their names.
NAMED_BY_DJANGO = {"admin", "management", "commands", "migrations", "templatetags", "formats"}


def packages() -> Iterator[str]:
    for app in APPS:
        yield app
        folders = import_module(app).__path__
        yield from (
            found.name
            for found in pkgutil.walk_packages(folders, f"{app}.")
            if found.ispkg and NAMED_BY_DJANGO.isdisjoint(found.name.split("."))
        )


@pytest.mark.parametrize("package", sorted(packages()))
def test_a_package_has_a_head_of_at_least_one_sentence(package: str) -> None:
    assert SENTENCE.search(import_module(package).__doc__ or "")

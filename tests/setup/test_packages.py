"""Every package states its responsibility in the docstring of its `__init__.py`."""

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


def list_packages() -> Iterator[str]:
    for app in APPS:
        yield app
        folders = import_module(app).__path__
        yield from (
            package.name
            for package in pkgutil.walk_packages(folders, f"{app}.")
            if package.ispkg and NAMED_BY_DJANGO.isdisjoint(package.name.split("."))
        )


@pytest.mark.parametrize("package", sorted(list_packages()))
def test_a_package_states_its_responsibility(package: str) -> None:
    text = import_module(package).__doc__ or ""
    assert SENTENCE.search(text)
    assert len(re.findall(r"[.:](?=\s|$)", text)) >= 2, "what it is responsible for, who calls it, what it never does"

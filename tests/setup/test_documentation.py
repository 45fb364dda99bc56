"""Every setting that the code reads is documented, in `.env.example` and in the README, and nothing else is."""

import ast
import itertools
import re

import pytest

from tests.services import ROOT, documented_settings

SETTINGS = ROOT / "veoapp" / "settings"


def settings_read() -> list[str]:
    """The names in `env.<type>("NAME", ...)` in the modules of the settings."""
    return [
        node.args[0].value
        for module in sorted(SETTINGS.glob("*.py"))
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]


def readme_table() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## Settings")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\|([^|]*)\|", section, flags=re.MULTILINE)
    return [name for cell in first_cells for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", cell)]


def test_settings_are_found_in_the_code() -> None:
    assert {"SECRET_KEY", "DATABASE_URL", "DAILY_COST_LIMIT"} <= set(settings_read())


@pytest.mark.parametrize("place", [".env.example", "README.md"])
def test_every_setting_is_documented_and_nothing_else(place: str) -> None:
    documented = documented_settings() if place == ".env.example" else readme_table()
    assert sorted(set(settings_read()) - set(documented)) == []
    assert sorted(set(documented) - set(settings_read())) == []
    assert len(documented) == len(set(documented))


def test_every_line_of_the_example_is_explained() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"(# )?[A-Z][A-Z0-9_]+=", line):
            assert before.startswith("# "), f"{line} has no comment above it"
            assert not re.match(r"# [A-Z][A-Z0-9_]+=", before), f"{line} has no comment above it"

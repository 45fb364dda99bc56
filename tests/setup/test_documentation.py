"""`.env.example` and the README document every setting that the code reads, and no other."""

import ast
import itertools
import re

import pytest

from tests.services import ROOT, documented_settings

SETTINGS = ROOT / "veoapp" / "settings"


def list_settings() -> list[str]:
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


def list_readme_settings() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## Settings")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\|([^|]*)\|", section, flags=re.MULTILINE)
    return [name for cell in first_cells for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", cell)]


def test_the_names_of_settings_are_read_from_the_code() -> None:
    assert {"SECRET_KEY", "DATABASE_URL", "DAILY_COST_LIMIT"} <= set(list_settings())


@pytest.mark.parametrize("document", [".env.example", "README.md"])
def test_every_setting_is_documented_and_no_other(document: str) -> None:
    documented = documented_settings() if document == ".env.example" else list_readme_settings()
    assert sorted(set(list_settings()) - set(documented)) == []
    assert sorted(set(documented) - set(list_settings())) == []
    assert len(documented) == len(set(documented))


def test_every_setting_of_the_example_has_a_comment() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    for previous, line in itertools.pairwise(lines):
        if re.match(r"(# )?[A-Z][A-Z0-9_]+=", line):
            assert previous.startswith("# "), f"{line} has no comment above it"
            assert not re.match(r"# [A-Z][A-Z0-9_]+=", previous), f"{line} has no comment above it"

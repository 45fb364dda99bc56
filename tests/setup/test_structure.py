"""The structure of the code: few packages on the first level, no cycle, no long file, and a correct map in the README."""

import re
import subprocess
from functools import cache

import grimp
import pytest

from tests.services import ROOT

APPS = ("accounts", "billing", "videos", "veoapp")
MAX_ENTRIES, MAX_LEVELS, MAX_EDGES, MAX_LINES = 22, 10, 90, 300


@cache
def import_graph() -> grimp.ImportGraph:
    return grimp.build_graph(*APPS, include_external_packages=False)


def find_first_level_imports(app: str) -> dict[str, set[str]]:
    """Each entry of the app's first level with the entries it imports; migrations are left out."""
    graph = import_graph()
    entries = {entry for entry in graph.find_children(app) if not entry.endswith(".migrations")}
    imports: dict[str, set[str]] = {entry: set() for entry in entries}
    for entry in entries:
        for module in {entry, *graph.find_descendants(entry)}:
            targets = graph.find_modules_directly_imported_by(module)
            imports[entry] |= {".".join(target.split(".")[:2]) for target in targets} & entries
        imports[entry].discard(entry)
    return imports


def compute_levels(imports: dict[str, set[str]]) -> dict[str, int]:
    """The level of each entry: one above the highest that it imports. Fails on a cycle."""
    levels: dict[str, int] = {}
    while len(levels) < len(imports):
        ready = {entry for entry, targets in imports.items() if entry not in levels and targets <= levels.keys()}
        assert ready, f"a cycle among {sorted(imports.keys() - levels.keys())}"
        levels |= {entry: 1 + max((levels[target] for target in imports[entry]), default=0) for entry in ready}
    return levels


@pytest.mark.parametrize("app", APPS)
def test_the_first_level_of_an_app_fits_on_one_screen(app: str) -> None:
    imports = find_first_level_imports(app)
    assert len(imports) <= MAX_ENTRIES
    assert sum(map(len, imports.values())) <= MAX_EDGES
    assert max(compute_levels(imports).values()) <= MAX_LEVELS


def test_no_python_file_is_longer_than_300_lines() -> None:
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "*.py"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    lengths = {
        name: len((ROOT / name).read_text(encoding="utf-8").splitlines())
        for name in names
        if name and "/migrations/" not in name
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_the_map_in_the_readme_names_files_that_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition("## Where to find what")[2].partition("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ") and not row.startswith("| to change")]
    assert len(rows) >= 12
    for row in rows:
        paths = [path for path in re.findall(r"`([\w./]+)`", row.split("|")[2]) if "/" in path]
        assert paths, f"{row} names no file"
        assert [path for path in paths if not (ROOT / path).exists()] == []

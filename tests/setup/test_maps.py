"""The maps at the head of the large packages name every module, and nothing that is not there."""

import re
from importlib import import_module
from pathlib import Path

import pytest

# Django finds these by their names.
FOUND_BY_NAME = {"__init__", "apps"}
# Where a line of a map begins to name modules.
LABEL_WIDTH = 23


@pytest.mark.parametrize("package", ["billing", "videos"])
def test_the_map_of_a_package_names_its_modules(package: str) -> None:
    module = import_module(package)
    folder = Path(str(module.__file__)).parent
    places = re.search(r"Where to go:\n\n(.*?)\n\n", str(module.__doc__), re.DOTALL)
    assert places is not None
    listed = " ".join(line[LABEL_WIDTH:] for line in places[1].splitlines())
    named = re.sub(r"\([^)]*\)", "", listed).replace(" and ", " ").replace(",", " ").split()
    modules = {path.stem for path in folder.glob("*.py")} - FOUND_BY_NAME
    assert sorted(name for name in named if not name.endswith("/")) == sorted(modules)
    assert all((folder / name).is_dir() for name in named if name.endswith("/"))

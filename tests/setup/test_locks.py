"""The lock files are complete, have hashes, and name no host."""

import re
import tomllib

import pytest

from tests.services import ROOT

RUNTIME, DEV = "requirements.lock", "requirements-dev.lock"
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)(?: ; ([^\\]*))?", flags=re.MULTILINE)


def normalise_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(lock: str) -> str:
    return (ROOT / lock).read_text(encoding="utf-8")


def list_pins(lock: str) -> set[tuple[str, str]]:
    """Name and version of every package in a lock."""
    return {(normalise_name(name), version) for name, version, _ in REQUIREMENT.findall(read_lock(lock))}


def list_dependencies(*, dev: bool) -> set[str]:
    """The packages that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = list(project["project"]["dependencies"])
    if dev:
        lines += project["dependency-groups"]["dev"]
    return {normalise_name(re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0]) for line in lines}


@pytest.mark.parametrize(("lock", "dev"), [(RUNTIME, False), (DEV, True)])
def test_every_dependency_of_the_project_is_locked(lock: str, dev: bool) -> None:
    assert list_dependencies(dev=dev) - {name for name, _ in list_pins(lock)} == set()


def test_the_dev_lock_includes_the_runtime_lock_at_the_same_versions() -> None:
    """So that `make run` after `make test` installs nothing."""
    assert list_pins(RUNTIME) - list_pins(DEV) == set()


@pytest.mark.parametrize("lock", [RUNTIME, DEV])
def test_every_package_has_its_hashes(lock: str) -> None:
    packages = re.split(r"\n(?=[A-Za-z0-9])", read_lock(lock).strip())
    assert packages
    assert [package.splitlines()[0] for package in packages if "--hash=sha256:" not in package] == []


@pytest.mark.parametrize("lock", [RUNTIME, DEV])
def test_a_lock_names_no_host_and_no_file(lock: str) -> None:
    assert re.findall(r"\S*(?:://|--index|--extra-index|--find-links|--trusted-host| @ )\S*", read_lock(lock)) == []

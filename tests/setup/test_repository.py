"""What lies in the repository, and what must not."""

import re
import subprocess
import tomllib

from tests.services import ROOT

TOP_LEVEL = {
    *("manage.py", "pyproject.toml", "veoapp", "accounts", "billing", "videos", "templates", "tests", "README.md"),
    *("requirements.lock", "requirements-dev.lock", "Makefile", "LICENSE", "CHANGELOG.md"),
}
# Written in halves, so that this file does not name them either.
REGISTRIES = tuple(
    ".".join(halves)
    for halves in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("jsdelivr", "net"))
)


def tracked() -> list[str]:
    # A clone may belong to somebody else than who tests it.
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in answer.stdout.split("\0") if name]


def test_the_top_level_is_closed() -> None:
    names = {path.partition("/")[0] for path in tracked()}
    assert {name for name in names if not name.startswith(".")} - TOP_LEVEL == set()


def test_nothing_names_a_registry_host() -> None:
    named = []
    for path in tracked():
        content = (ROOT / path).read_bytes()
        named += [f"{path}: {host}" for host in REGISTRIES if host.encode() in content]
    assert named == []


def test_the_version_is_in_the_changelog() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_no_secret_of_a_machine_is_committed() -> None:
    assert [path for path in tracked() if path == ".env" or path.startswith(("var/", ".venv/"))] == []

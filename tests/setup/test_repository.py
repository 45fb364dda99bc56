"""What the repository may contain."""

import re
import subprocess
import tomllib

from tests.services import ROOT

TOP_LEVEL = {
    *("manage.py", "pyproject.toml", "veoapp", "accounts", "billing", "videos", "templates", "tests", "README.md"),
    *("requirements.lock", "requirements-dev.lock", "Makefile", "LICENSE", "CHANGELOG.md"),
}
# Joined at run time, because this file must not contain the names either.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("jsdelivr", "net"))
)


def list_tracked_files() -> list[str]:
    # The clone may belong to another user than the one who runs the tests.
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in result.stdout.split("\0") if name]


def test_the_top_level_contains_only_listed_files() -> None:
    names = {path.partition("/")[0] for path in list_tracked_files()}
    assert {name for name in names if not name.startswith(".")} - TOP_LEVEL == set()


def test_no_file_names_a_package_registry() -> None:
    matches = []
    for path in list_tracked_files():
        content = (ROOT / path).read_bytes()
        matches += [f"{path}: {host}" for host in REGISTRIES if host.encode() in content]
    assert matches == []


def test_the_version_is_in_the_changelog() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_no_local_file_is_committed() -> None:
    assert [path for path in list_tracked_files() if path == ".env" or path.startswith(("var/", ".venv/"))] == []


def test_the_hooks_before_a_commit_run_the_same_checks_as_ci() -> None:
    checks = re.findall(r"^step (\S+)", (ROOT / ".ci" / "check").read_text(encoding="utf-8"), re.MULTILINE)
    hooks = re.findall(r"entry: sh \.ci/check (\S+)", (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert len(checks) >= 8
    assert hooks == checks

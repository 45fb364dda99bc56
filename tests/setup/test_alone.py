"""What `make test` does with a test that fails: it is run alone, and named if it passes there. The run stays red."""

import os
import subprocess
import sys
from pathlib import Path

from tests.services import ROOT

SUITE = """
disturbed = []

def test_a_disturber():
    disturbed.append(True)

def test_b_depends_on_the_order():
    assert not disturbed

def test_c_is_broken():
    assert False
"""


def run(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_suite.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.alone", "-p", "no:randomly", str(folder / "test_suite.py")]
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_a_test_that_passes_alone_is_named_and_keeps_the_run_red(tmp_path: Path) -> None:
    done = run(tmp_path, SUITE)
    assert done.returncode == 1
    assert "test_suite.py::test_b_depends_on_the_order: passes alone: fix its isolation" in done.stdout
    assert "test_suite.py::test_c_is_broken: fails alone as well" in done.stdout
    assert "test_suite.py::test_a_disturber:" not in done.stdout


def test_a_green_run_runs_nothing_again(tmp_path: Path) -> None:
    done = run(tmp_path, "def test_one():\n    pass\n")
    assert done.returncode == 0
    assert "alone" not in done.stdout


def test_when_everything_fails_nothing_is_run_again(tmp_path: Path) -> None:
    source = "import pytest\n\n@pytest.mark.parametrize('n', range(30))\ndef test_one(n):\n    assert False\n"
    assert "30 tests failed: too many to run each alone." in run(tmp_path, source).stdout

"""A failed test is run once more alone. It is reported if it passes then, but the whole run still fails."""

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


def test_a_test_that_passes_alone_is_reported_and_the_run_still_fails(tmp_path: Path) -> None:
    result = run(tmp_path, SUITE)
    assert result.returncode == 1
    assert "test_suite.py::test_b_depends_on_the_order: passes alone: fix its isolation" in result.stdout
    assert "test_suite.py::test_c_is_broken: fails alone as well" in result.stdout
    assert "test_suite.py::test_a_disturber:" not in result.stdout


def test_nothing_is_run_again_if_all_tests_pass(tmp_path: Path) -> None:
    result = run(tmp_path, "def test_one():\n    pass\n")
    assert result.returncode == 0
    assert "alone" not in result.stdout


def test_nothing_is_run_again_if_too_many_tests_fail(tmp_path: Path) -> None:
    source = "import pytest\n\n@pytest.mark.parametrize('n', range(30))\ndef test_one(n):\n    assert False\n"
    assert "30 tests failed: too many to run each alone." in run(tmp_path, source).stdout

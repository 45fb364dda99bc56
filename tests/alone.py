"""A pytest plugin that runs each failed test once more alone, to show which fail only together with other tests.

`make test` loads it with `-p tests.alone`. It changes no result: a test that passes alone has still failed the run.
"""

import subprocess
import sys

import pytest

# If more tests fail, the cause is probably common to all, not the order of the tests.
MAX_FAILED_TESTS = 20


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    reports = [*terminalreporter.stats.get("failed", []), *terminalreporter.stats.get("error", [])]
    failed = list(dict.fromkeys(report.nodeid for report in reports))
    if exitstatus != pytest.ExitCode.TESTS_FAILED or not failed:
        return
    if len(failed) > MAX_FAILED_TESTS:
        terminalreporter.write_line(f"{len(failed)} tests failed: too many to run each alone.")
        return
    terminalreporter.section("failed tests, each run once more alone")
    for node_id in failed:
        terminalreporter.write_line(f"{node_id}: {_run_alone(node_id, config)}")


def _run_alone(node_id: str, config: pytest.Config) -> str:
    # With the same seed, the only difference is that no other tests run.
    seed = config.getoption("randomly_seed", default=None)
    options = ["-q", "-p", "no:cacheprovider"] + ([f"--randomly-seed={seed}"] if seed is not None else [])
    command = [sys.executable, "-m", "pytest", *options, node_id]
    result = subprocess.run(command, cwd=config.rootpath, capture_output=True, check=False)
    return "passes alone: fix its isolation" if result.returncode == pytest.ExitCode.OK else "fails alone as well"

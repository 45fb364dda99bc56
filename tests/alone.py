"""A pytest plugin that runs each failed test once more by itself, to name those that fail only among others.

`make test` loads it with `-p tests.alone`. It changes no result: a test that passes alone has still failed the run.
"""

import subprocess
import sys

import pytest

# When more than these fail, something common to all is broken, and the order of tests is not the question.
AT_MOST = 20


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    reports = [*terminalreporter.stats.get("failed", []), *terminalreporter.stats.get("error", [])]
    failed = list(dict.fromkeys(report.nodeid for report in reports))
    if exitstatus != pytest.ExitCode.TESTS_FAILED or not failed:
        return
    if len(failed) > AT_MOST:
        terminalreporter.write_line(f"{len(failed)} tests failed: too many to run each alone.")
        return
    terminalreporter.section("the same once more, each alone")
    for node_id in failed:
        terminalreporter.write_line(f"{node_id}: {_run_alone(node_id, config)}")


def _run_alone(node_id: str, config: pytest.Config) -> str:
    # The same seed, so that the other tests are all that differs.
    seed = config.getoption("randomly_seed", default=None)
    options = ["-q", "-p", "no:cacheprovider"] + ([f"--randomly-seed={seed}"] if seed is not None else [])
    command = [sys.executable, "-m", "pytest", *options, node_id]
    done = subprocess.run(command, cwd=config.rootpath, capture_output=True, check=False)
    return "passes alone: fix its isolation" if done.returncode == pytest.ExitCode.OK else "fails alone as well"

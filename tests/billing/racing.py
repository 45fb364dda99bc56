"""Races of real processes: all are ready before the first begins."""

import subprocess
import sys

PROCESSES = 8


def race(module: str, *arguments: str, environment: dict[str, str], within_s: float = 240) -> list[tuple[int, int]]:
    """Run `python -m module ARGUMENTS` eight times at once ("{n}" in an argument is the process's own number).

    Returns the two numbers that each printed at its end.
    """
    environment = {**environment, "DJANGO_SETTINGS_MODULE": "veoapp.settings"}
    runners = [
        subprocess.Popen(
            [sys.executable, "-m", module, *(argument.replace("{n}", str(n)) for argument in arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for n in range(PROCESSES)
    ]
    try:
        for runner in runners:
            assert runner.stdout is not None
            assert runner.stdout.readline() == "ready\n"
        for runner in runners:
            assert runner.stdin is not None
            runner.stdin.write("go\n")
            runner.stdin.flush()
        answers = [runner.communicate(timeout=within_s)[0].split() for runner in runners]
    finally:
        for runner in runners:
            runner.kill()
            runner.wait()
    return [(int(first), int(second)) for first, second in answers]

"""Runs several processes at the same time: all are ready before any of them starts its work."""

import subprocess
import sys

PROCESSES = 8


def race(module: str, *arguments: str, environment: dict[str, str], within_s: float = 240) -> list[tuple[int, int]]:
    """Run `python -m module ARGUMENTS` in eight processes at the same time; returns the two numbers that each prints.

    "{n}" in an argument is replaced by the number of the process.
    """
    environment = {**environment, "DJANGO_SETTINGS_MODULE": "veoapp.settings"}
    processes = [
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
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=within_s)[0].split() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return [(int(first), int(second)) for first, second in outputs]

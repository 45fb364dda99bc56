"""Runs several independent callables, so that one that fails does not stop the others."""

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)


class SomeCallsFailed(Exception):
    """At least one callable failed after all were run. Each failure is in the log with its traceback."""


def run_all_then_raise(*callables: Callable[[], object]) -> None:
    """Run all callables in order and log failures.

    Afterwards raises SomeCallsFailed if any failed, so that the job that runs them is recorded as failed.
    """
    failed = []
    for call in callables:
        try:
            call()
        except Exception as error:
            log.exception("a call failed")
            failed.append(type(error).__name__)
    if failed:
        raise SomeCallsFailed(f"{len(failed)} of {len(callables)}: {', '.join(failed)}")

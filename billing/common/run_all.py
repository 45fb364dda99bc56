"""Chores that have nothing to do with each other: one that fails holds up none of the others, and is heard of all the same."""

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)


class SomeCallsFailed(Exception):
    """Some of several chores failed; all of them were tried. Each is in the log with its own trace."""


def run_all_then_raise(*chores: Callable[[], object]) -> None:
    """Do all of them, in order; ChoresFailed once all are tried, so that the job is noted as failed."""
    failed = []
    for chore in chores:
        try:
            chore()
        except Exception as problem:
            log.exception("a chore failed")
            failed.append(f"{type(problem).__name__}")
    if failed:
        raise SomeCallsFailed(f"{len(failed)} of {len(chores)}: {', '.join(failed)}")

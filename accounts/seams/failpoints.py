"""Named places between transactions. In production `reach` does nothing; a test may stop the process there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_visit: Callable[[str], None] | None = None


def reach(name: str) -> None:
    """Mark that the process is between two transactions, e.g. `submit.claimed`."""
    if _visit is not None:
        _visit(name)


@contextmanager
def replaced(visit: Callable[[str], None]) -> Iterator[None]:
    """Call `visit(name)` at each failpoint until the block ends; it may raise to simulate a crash."""
    global _visit
    before, _visit = _visit, visit
    try:
        yield
    finally:
        _visit = before

"""Named points in the code between two transactions. In production `reach` does nothing; a test may stop the process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_visit: Callable[[str], None] | None = None


def reach(name: str) -> None:
    """Call the test's `visit`, if there is one, with the name of this point, e.g. `submit.claimed`."""
    if _visit is not None:
        _visit(name)


@contextmanager
def replaced(visit: Callable[[str], None]) -> Iterator[None]:
    """Call `visit(name)` at each failpoint until the block ends; it may raise to simulate a crash."""
    global _visit
    previous, _visit = _visit, visit
    try:
        yield
    finally:
        _visit = previous

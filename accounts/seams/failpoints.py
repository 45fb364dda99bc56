"""Named places between atomic phases. In production `reach` does nothing; a test may stop the process there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_visit: Callable[[str], None] | None = None


def reach(name: str) -> None:
    """Say that the process stands between two phases, e.g. `submit.claimed`."""
    if _visit is not None:
        _visit(name)


@contextmanager
def owned(visit: Callable[[str], None]) -> Iterator[None]:
    """Call `visit(name)` at each checkpoint until the block ends; it may raise to play a crash."""
    global _visit
    before, _visit = _visit, visit
    try:
        yield
    finally:
        _visit = before

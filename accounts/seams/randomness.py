"""Random secrets, ids and variations of waiting times. A simulation replaces the source with `seeded`."""

import random
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

_system = random.SystemRandom()
_source: random.Random = _system


def token() -> str:
    """A secret of 256 random bits, safe in a URL (43 characters)."""
    if _source is _system:
        return secrets.token_urlsafe(32)
    return _source.randbytes(32).hex()


def new_uuid() -> uuid.UUID:
    """A random UUID (version 4), for identifiers that need not be secret."""
    return uuid.UUID(int=_source.getrandbits(128), version=4)


def jitter(seconds: float, share: float = 0.2) -> float:
    """`seconds`, randomly longer or shorter by up to `share`, so that many waits do not end at the same moment."""
    return seconds * _source.uniform(1 - share, 1 + share)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Use a seeded source until the block ends."""
    global _source
    previous, _source = _source, random.Random(seed)  # noqa: S311  only simulations use this source
    try:
        yield
    finally:
        _source = previous

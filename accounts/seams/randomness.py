"""Randomness: secrets, ids, jitter. A simulation replaces it with a seeded source through `seeded`."""

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
    """A random UUID (version 4): an identifier, never a secret."""
    return uuid.UUID(int=_source.getrandbits(128), version=4)


def jitter(seconds: float, share: float = 0.2) -> float:
    """`seconds`, changed by up to `share` either way, so that many waits do not end at once."""
    return seconds * _source.uniform(1 - share, 1 + share)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from a seeded source until the block ends."""
    global _source
    before, _source = _source, random.Random(seed)  # noqa: S311  only simulations use this source
    try:
        yield
    finally:
        _source = before

"""The one door for randomness: secrets, ids, jitter. A simulation owns it with `owned` and a seed."""

import random
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

_system = random.SystemRandom()
_source: random.Random = _system


def token() -> str:
    """A secret of 256 random bits, safe in an address (43 characters)."""
    if _source is _system:
        return secrets.token_urlsafe(32)
    return _source.randbytes(32).hex()


def new_uuid() -> uuid.UUID:
    """A random UUID (version 4): a name, never a secret."""
    return uuid.UUID(int=_source.getrandbits(128), version=4)


def jitter(seconds: float, share: float = 0.2) -> float:
    """`seconds`, moved by up to `share` either way, so that many waits do not end at once."""
    return seconds * _source.uniform(1 - share, 1 + share)


@contextmanager
def owned(seed: int) -> Iterator[None]:
    """Draw from a seeded source until the block ends."""
    global _source
    before, _source = _source, random.Random(seed)  # noqa: S311  a simulation's source, never used for secrets in production
    try:
        yield
    finally:
        _source = before

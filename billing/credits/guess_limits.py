"""Who guesses codes: counted in the cache by person and by address, so that trying costs time.

A code has 80 random bits and is not to be guessed whatever the number of tries; counts that miss one now and then, when
several come at once, are enough to keep a flood of tries from being work.
"""

from math import ceil

from django.core.cache import cache

from accounts.models import User
from accounts.seams import clock

WINDOW_S = 15 * 60
MOST_BY_PERSON = 10
# An office or a school shares one address.
MOST_BY_CLIENT = 50


class TooManyGuesses(Exception):
    """Wrong so often that this window hears no more, not even the right code. Carries the minutes until it ends."""

    def __init__(self, minutes: int) -> None:
        super().__init__(f"again in {minutes} min")
        self.minutes = minutes


def check(*, user: User, client: str) -> None:
    """Raises TooManyGuesses."""
    at_s = clock.now().timestamp()
    for key, most in _limits(user, client, at_s):
        if cache.get(key, 0) >= most:
            raise TooManyGuesses(ceil((WINDOW_S - at_s % WINDOW_S) / 60))


def note(*, user: User, client: str) -> None:
    """One more that was wrong."""
    for key, _most in _limits(user, client, clock.now().timestamp()):
        cache.set(key, cache.get(key, 0) + 1, timeout=WINDOW_S)


def _limits(user: User, client: str, at_s: float) -> list[tuple[str, int]]:
    window = int(at_s // WINDOW_S)
    keys = [(f"guesses:{window}:person:{user.pk}", MOST_BY_PERSON)]
    if client:
        keys.append((f"guesses:{window}:client:{client}", MOST_BY_CLIENT))
    return keys

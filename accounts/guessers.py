"""Who tries wrong secrets (callback addresses, API tokens): counted in this process's memory, so that guessing costs the guesser.

256 random bits are not to be guessed; this keeps a flood of tries from being work for the database. Each process counts
for itself, which is enough for that. A client that was wrong too often is not heard until its minute is over.
"""

import threading
from collections import OrderedDict

from allauth.account.adapter import get_adapter
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

MOST_PER_WINDOW = 30
WINDOW_S = 60.0
KEPT_CLIENTS = 10_000


class Guessers:
    """Counts by client and window; forgets the oldest clients first. `at_s` is any clock's seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def note(self, client: str, *, at_s: float) -> None:
        """One more wrong try."""
        window = int(at_s // WINDOW_S)
        with self._lock:
            then, count = self._counts.pop(client, (window, 0))
            self._counts[client] = (window, count + 1 if then == window else 1)
            while len(self._counts) > KEPT_CLIENTS:
                self._counts.popitem(last=False)

    def is_too_many(self, client: str, *, at_s: float) -> bool:
        """Whether this client has been wrong so often in this window that we do not look any more."""
        with self._lock:
            window, count = self._counts.get(client, (0, 0))
        return window == int(at_s // WINDOW_S) and count >= MOST_PER_WINDOW

    def forget(self) -> None:
        with self._lock:
            self._counts.clear()


def client_of(request: HttpRequest) -> str:
    """The caller's address, through as many proxies as we trust; one name for all who have none."""
    try:
        return str(get_adapter().get_client_ip(request))
    except PermissionDenied:
        return ""

"""Limits on attempts with a wrong secret: a callback token, an API token or a voucher code. Right secrets do not count.

The times of the last failures are kept in Django's cache, which all processes share. Keys, lock and the sliding window
(only failures of the last `window_s` seconds count) are those of allauth's rate limiter. Its function `consume` is not
used, because it reads the machine's clock, and because even its dry run takes the lock, so that every correct request
would write to the cache.

While a cache server does not respond, nothing is limited: the secrets are too long to guess, and no callback must be
lost.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from allauth.core.internal import ratelimit
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import HttpRequest

from accounts.seams import clock

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FailureLimit:
    """At most `amount` failures within `window_s` seconds for each key, such as a client's address."""

    name: str
    amount: int
    window_s: int

    def retry_after_s(self, key: str) -> int:
        """The seconds until the key may try again, or 0 if it is below the limit. Reads the cache once."""
        now = clock.now().timestamp()
        failures: list[float] = []
        with _without_cache_errors():
            failures = cache.get(self._cache_key(key), [])
        is_allowed, failures = ratelimit.apply_rate(failures, now, self._rate, dry_run=True)
        return 0 if is_allowed else ceil(failures[-1] + self.window_s - now)

    def record_failure(self, key: str) -> None:
        """Count a failure, unless another process keeps the lock too long; the limit is then reached later."""
        cache_key = self._cache_key(key)
        with _without_cache_errors(), ratelimit.cache_lock(cache_key) as is_locked:
            if is_locked:
                failures = cache.get(cache_key, [])
                _is_allowed, failures = ratelimit.apply_rate(failures, clock.now().timestamp(), self._rate)
                cache.set(cache_key, failures, self.window_s)

    @property
    def _rate(self) -> ratelimit.Rate:
        return ratelimit.Rate(self.amount, self.window_s, "key")

    def _cache_key(self, key: str) -> str:
        return str(ratelimit.get_cache_key(None, app="veoapp", action=self.name, rate=self._rate, key=key))


WRONG_API_TOKENS = FailureLimit("api_token", amount=30, window_s=60)
WRONG_CALLBACK_TOKENS = FailureLimit("callback_token", amount=30, window_s=60)
WRONG_VOUCHERS_BY_USER = FailureLimit("voucher_user", amount=10, window_s=15 * 60)
# Higher, because all users of an office or a school may share one client address.
WRONG_VOUCHERS_BY_CLIENT = FailureLimit("voucher_client", amount=50, window_s=15 * 60)


@contextmanager
def _without_cache_errors() -> Iterator[None]:
    """Log errors of a cache server instead of raising them.

    Errors of a cache in the database are raised, because they may have broken the current transaction.
    """
    try:
        yield
    except DatabaseError:
        raise
    except Exception:
        log.exception("the cache does not respond: failed attempts are not limited")


def client_address(request: HttpRequest) -> str:
    """The client's address as trusted proxies report it; empty if unknown, only the network for IPv6."""
    try:
        return str(ratelimit.get_ip(request))
    except PermissionDenied:
        return ""

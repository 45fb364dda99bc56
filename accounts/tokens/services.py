"""Creates, revokes and checks API tokens. The only writer of `ApiToken`.

A token may do what its owner may, within its scopes, until it expires or is revoked or its owner is disabled.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiToken, User
from accounts.rate_limits import WRONG_API_TOKENS, client_address
from accounts.seams import clock, randomness
from accounts.tokens.secret import PREFIX, SHOWN_LENGTH

log = logging.getLogger(__name__)

NAME_LENGTH = 80
# `last_used_at` is updated at most this often.
LAST_USED_PRECISION = timedelta(minutes=1)

# A scope is one thing that a token allows, such as reading costs.
COST_READ = "cost:read"
SCOPES: dict[str, Promise] = {COST_READ: _("Read costs, limits and alerts (operators only)")}


class TokenRefused(Exception):
    """The request has no usable token. Programs read `code` in the API's response, so it must not change."""

    code = "invalid_token"


class TooManyAttempts(TokenRefused):
    """The client sent too many wrong tokens; all its tokens are refused for `retry_after_s` seconds."""

    code = "too_many_tries"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class ScopeMissing(TokenRefused):
    """The token is valid but lacks the scope that the page requires."""

    code = "scope_missing"


@dataclass(frozen=True)
class NewToken:
    """A new token and its secret, which is stored nowhere and is not in the repr."""

    token: ApiToken
    secret: str

    def __repr__(self) -> str:
        return f"NewToken({self.token})"


def create_token(*, user: User, name: str, scopes: Sequence[str], expires_at: datetime | None = None) -> NewToken:
    """Create a token for an active user. Raises ValueError for a missing name, an unknown scope or an expiry in the past."""
    name = name.strip()
    if not 1 <= len(name) <= NAME_LENGTH:
        raise ValueError(f"a token needs a name of 1 to {NAME_LENGTH} characters")
    if not scopes or set(scopes) - set(SCOPES):
        raise ValueError(f"a token needs at least one of these scopes: {', '.join(SCOPES)}")
    if expires_at is not None and expires_at <= clock.now():
        raise ValueError("a token cannot expire before it is created")
    if not user.is_active:
        raise ValueError("a disabled or closed account cannot have tokens")
    secret = PREFIX + randomness.token()
    token = ApiToken.objects.create(
        user=user,
        name=name,
        prefix=secret[:SHOWN_LENGTH],
        digest=hash_secret(secret),
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    log.info("API token %s created for user %s", token.pk, user.pk)
    return NewToken(token, secret)


def revoke_token(*, token_id: int, actor: User | None) -> bool:
    """Revoke the token: it is refused from the next request on. Returns False if it already was revoked."""
    count = ApiToken.objects.filter(pk=token_id, revoked_at=None).update(revoked_at=clock.now())
    log.info("API token %s revoked by %s", token_id, actor and actor.pk)
    return bool(count)


def authenticate(request: HttpRequest, *, scope: str) -> User:
    """The owner of the token in `Authorization: Bearer`. Raises TokenRefused, TooManyAttempts or ScopeMissing."""
    client, now = client_address(request), clock.now()
    if retry_after_s := WRONG_API_TOKENS.retry_after_s(client):
        raise TooManyAttempts(retry_after_s)
    scheme, _space, secret = request.headers.get("Authorization", "").partition(" ")
    token = _find_token(secret.strip()) if scheme.lower() == "bearer" else None
    if token is None or not is_usable(token, now):
        WRONG_API_TOKENS.record_failure(client)
        raise TokenRefused()
    if scope not in token.scopes:
        raise ScopeMissing()
    if token.last_used_at is None or now - token.last_used_at >= LAST_USED_PRECISION:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token.user


def is_usable(token: ApiToken, at: datetime) -> bool:
    """Whether the token is neither revoked nor expired at that time, and its owner is active."""
    is_expired = token.expires_at is not None and token.expires_at <= at
    return token.revoked_at is None and not is_expired and token.user.is_active


def hash_secret(secret: str) -> str:
    """The hash under which a token is stored. 256 random bits cannot be guessed, so a fast hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _find_token(secret: str) -> ApiToken | None:
    if not secret.startswith(PREFIX):
        return None
    # A lookup by the hash leaks nothing about the secret through its timing.
    return ApiToken.objects.select_related("user").filter(digest=hash_secret(secret)).first()

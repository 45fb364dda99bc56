"""Tokens for programs: made once, shown once, kept as a digest. The only writer of `ApiToken`.

A token may do what its owner may, within its scopes and until it expires, is revoked, or its owner is disabled.
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
from accounts.rate_limits import FailureLimit, client_address
from accounts.seams import clock, randomness
from accounts.tokens.secret import BEGINNING, PREFIX_LENGTH

log = logging.getLogger(__name__)

NAME_LENGTH = 80
# An answer is not worth a write each time.
USED_EVERY = timedelta(minutes=1)

COST_READ = "cost:read"
SCOPES: dict[str, Promise] = {COST_READ: _("Read costs, limits and alerts (operators only)")}

WRONG_TOKENS_BY_CLIENT = FailureLimit("api_token", amount=30, window_s=60)


class TokenRefused(Exception):
    """A request whose token does not let it in. `code` is stable."""

    code = "invalid_token"


class TooManyTries(TokenRefused):
    """The client sent too many wrong tokens; its tokens are not looked up until `retry_after_s` has passed."""

    code = "too_many_tries"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class ScopeMissing(TokenRefused):
    """A good token that was not made for this."""

    code = "scope_missing"


@dataclass(frozen=True)
class Made:
    """A new token and its secret, which nobody can read again. Its repr shows no secret."""

    token: ApiToken
    secret: str

    def __repr__(self) -> str:
        return f"Made({self.token})"


def make(*, user: User, name: str, scopes: Sequence[str], expires_at: datetime | None = None) -> Made:
    """A new token for an active person. ValueError: no name, no scope or an unknown one, an expiry in the past."""
    name = name.strip()
    if not 1 <= len(name) <= NAME_LENGTH:
        raise ValueError(f"a token needs a name of 1 to {NAME_LENGTH} characters")
    if not scopes or set(scopes) - set(SCOPES):
        raise ValueError(f"a token needs scopes of these: {', '.join(SCOPES)}")
    if expires_at is not None and expires_at <= clock.now():
        raise ValueError("a token cannot expire before it is made")
    if not user.is_active:
        raise ValueError("a disabled or closed account gets no tokens")
    secret = BEGINNING + randomness.token()
    token = ApiToken.objects.create(
        user=user,
        name=name,
        prefix=secret[:PREFIX_LENGTH],
        digest=digest_of(secret),
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    log.info("API token %s made for user %s", token.pk, user.pk)
    return Made(token, secret)


def revoke(*, token_id: int, actor: User | None) -> bool:
    """Let the token in no more, from the next request on; False when it was revoked before."""
    revoked = ApiToken.objects.filter(pk=token_id, revoked_at=None).update(revoked_at=clock.now())
    log.info("API token %s revoked by %s", token_id, actor and actor.pk)
    return bool(revoked)


def authenticate(request: HttpRequest, *, scope: str) -> User:
    """Whom the request's `Authorization: Bearer` speaks for. Raises TokenRefused, TooManyTries, ScopeMissing."""
    client, at = client_address(request), clock.now()
    if retry_after_s := WRONG_TOKENS_BY_CLIENT.retry_after_s(client):
        raise TooManyTries(retry_after_s)
    kind, _space, secret = request.headers.get("Authorization", "").partition(" ")
    token = _find(secret.strip()) if kind.lower() == "bearer" else None
    if token is None or not is_alive(token, at):
        WRONG_TOKENS_BY_CLIENT.record_failure(client)
        raise TokenRefused()
    if scope not in token.scopes:
        raise ScopeMissing()
    if token.last_used_at is None or at - token.last_used_at >= USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=at)
    return token.user


def is_alive(token: ApiToken, at: datetime) -> bool:
    """Whether the token may still be used at `at`."""
    is_expired = token.expires_at is not None and token.expires_at <= at
    return token.revoked_at is None and not is_expired and token.user.is_active


def digest_of(secret: str) -> str:
    """What is kept of a token. 256 random bits need no slow hash: there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _find(secret: str) -> ApiToken | None:
    # Looked up by its digest: how long that takes says nothing about the secret.
    if not secret.startswith(BEGINNING):
        return None
    return ApiToken.objects.select_related("user").filter(digest=digest_of(secret)).first()

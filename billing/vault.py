"""Seals provider keys at rest: AES-256-GCM, a key id in front, so that keys can be rotated without losing the old.

A sealed text reads `v1:<key id>:<base64 of nonce and ciphertext>`; the purpose is bound to it as associated data.
"""

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

_NONCE_BYTES = 12


class VaultError(Exception):
    """A secret cannot be sealed or opened; says which key id is missing, never the secret."""


def is_configured() -> bool:
    """Whether there is a key to seal with."""
    return bool(settings.FIELD_ENCRYPTION_KEYS)


def keys() -> dict[str, bytes]:
    """The keys by id, newest first, from FIELD_ENCRYPTION_KEYS ("ID:BASE64 of 32 bytes"). Raises VaultError."""
    found: dict[str, bytes] = {}
    for item in settings.FIELD_ENCRYPTION_KEYS:
        key_id, _, text = item.strip().partition(":")
        try:
            key = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not key_id or len(key) != 32:
            raise VaultError("FIELD_ENCRYPTION_KEYS must list ID:BASE64 pairs, each of 32 random bytes")
        if key_id in found:
            raise VaultError(f"FIELD_ENCRYPTION_KEYS names the id {key_id!r} twice: give a new key a new id")
        found[key_id] = key
    return found


def seal(secret: str, *, purpose: str) -> str:
    """Encrypt with the newest key. Raises VaultError when there is none."""
    available = keys()
    if not available:
        raise VaultError("FIELD_ENCRYPTION_KEYS is empty: nothing can be sealed")
    key_id, key = next(iter(available.items()))
    # A nonce must never repeat, not even under a test's seed: it is drawn from the system itself.
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + AESGCM(key).encrypt(nonce, secret.encode(), purpose.encode())
    return f"v1:{key_id}:{base64.b64encode(sealed).decode()}"


def unseal(sealed: str, *, purpose: str) -> str:
    """Decrypt with the key that the text names. Raises VaultError."""
    version, _, rest = sealed.partition(":")
    key_id, _, text = rest.partition(":")
    key = keys().get(key_id)
    if version != "v1" or key is None:
        raise VaultError(f"the key {key_id!r} is not in FIELD_ENCRYPTION_KEYS")
    try:
        raw = base64.b64decode(text, validate=True)
        return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], purpose.encode()).decode()
    except (InvalidTag, binascii.Error, ValueError) as error:
        raise VaultError(f"a text sealed with the key {key_id!r} cannot be opened") from error

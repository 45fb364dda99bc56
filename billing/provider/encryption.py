"""Encrypts (seals) the stored provider keys with AES-256-GCM.

A sealed text has the form `v1:<key id>:<base64 of nonce and ciphertext>`. It names its encryption key, so that
encryption keys can be rotated. The purpose is bound to the text as associated data: the text can be opened only for the
same purpose.
"""

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

_NONCE_BYTES = 12


class EncryptionError(Exception):
    """A secret cannot be sealed or unsealed. The text names the missing key id, never the secret."""


def is_configured() -> bool:
    """Whether there is an encryption key."""
    return bool(settings.FIELD_ENCRYPTION_KEYS)


def load_keys() -> dict[str, bytes]:
    """The encryption keys by id, newest first (from FIELD_ENCRYPTION_KEYS). Raises EncryptionError."""
    # Each entry of the setting is "ID:BASE64", and the decoded key has 32 bytes.
    keys: dict[str, bytes] = {}
    for pair in settings.FIELD_ENCRYPTION_KEYS:
        name, _, text = pair.strip().partition(":")
        try:
            key = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not name or len(key) != 32:
            raise EncryptionError("FIELD_ENCRYPTION_KEYS must list ID:BASE64 pairs, each of 32 random bytes")
        if name in keys:
            raise EncryptionError(f"FIELD_ENCRYPTION_KEYS names the id {name!r} twice: give a new key a new id")
        keys[name] = key
    return keys


def newest_key_id() -> str:
    """The id of the key that new texts are sealed with. Raises EncryptionError if there is none."""
    available = load_keys()
    if not available:
        raise EncryptionError("FIELD_ENCRYPTION_KEYS is empty: keys cannot be stored")
    return next(iter(available))


def read_key_id(sealed: str) -> str:
    """The id of the key that a sealed text needs."""
    return sealed.partition(":")[2].partition(":")[0]


def seal(secret: str, *, purpose: str) -> str:
    """Encrypt a secret with the newest key. Raises EncryptionError if there is none."""
    newest = newest_key_id()
    # A nonce must never repeat, not even under a test's seed, so it is not taken from `accounts.seams.randomness`.
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + AESGCM(load_keys()[newest]).encrypt(nonce, secret.encode(), purpose.encode())
    return f"v1:{newest}:{base64.b64encode(sealed).decode()}"


def unseal(sealed: str, *, purpose: str) -> str:
    """Decrypt a sealed text with the key that it names. Raises EncryptionError."""
    version, _, rest = sealed.partition(":")
    key_id, _, text = rest.partition(":")
    key = load_keys().get(key_id)
    if version != "v1" or key is None:
        raise EncryptionError(f"the key {key_id!r} is not in FIELD_ENCRYPTION_KEYS")
    try:
        raw = base64.b64decode(text, validate=True)
        return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], purpose.encode()).decode()
    except (InvalidTag, binascii.Error, ValueError) as error:
        raise EncryptionError(f"a text sealed with the key {key_id!r} cannot be opened") from error

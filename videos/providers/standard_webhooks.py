"""Signatures of webhooks we send, as https://www.standardwebhooks.com specifies them (version v1: HMAC-SHA256).

A receiver checks them with any of the libraries named there, given our secret, `whsec_` and base64.
"""

import hmac
from base64 import b64decode, b64encode
from hashlib import sha256

PREFIX = "whsec_"
KEY_BYTES = range(24, 65)


def key_of(secret: str) -> bytes:
    """The key that a secret of the form `whsec_BASE64` stands for. Raises ValueError, without the secret in its text."""
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in KEY_BYTES:
        raise ValueError("the secret must be whsec_ and the base64 of 24 to 64 bytes")
    return key


def signed(body: bytes, *, message_id: str, timestamp: int, secret: str) -> dict[str, str]:
    """The three headers for this body. `timestamp` is in seconds; `message_id` stays the same when it is sent again."""
    content = b".".join((message_id.encode(), str(timestamp).encode(), body))
    signature = b64encode(hmac.digest(key_of(secret), content, sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }

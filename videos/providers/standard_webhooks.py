"""Signs webhooks that we send, as https://www.standardwebhooks.com specifies (version v1: HMAC-SHA256).

A receiver verifies the signatures with any library that this site lists and our secret (`whsec_` followed by base64).
"""

import hmac
from base64 import b64decode, b64encode
from hashlib import sha256

PREFIX = "whsec_"
KEY_BYTES = range(24, 65)


def parse_secret(secret: str) -> bytes:
    """The key in a secret of the form `whsec_BASE64`. Raises a ValueError whose text does not hold the secret."""
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in KEY_BYTES:
        raise ValueError("the secret must be whsec_ and the base64 of 24 to 64 bytes")
    return key


def signature_headers(body: bytes, *, message_id: str, timestamp: int, secret: str) -> dict[str, str]:
    """The three signature headers. `timestamp` is in seconds; a repeated message keeps its `message_id`."""
    content = b".".join((message_id.encode(), str(timestamp).encode(), body))
    signature = b64encode(hmac.digest(parse_secret(secret), content, sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }

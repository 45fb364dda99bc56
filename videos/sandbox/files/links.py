"""Signed links to files, valid for 20 minutes of sandbox time, and the endpoint that issues them."""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlencode, urlsplit

from videos.sandbox.sandbox import Sandbox
from videos.sandbox.wire.messages import Reply, Request, envelope, success
from videos.sandbox.wire.validation import parse_body

LINK_S = 20 * 60
_KEY = secrets.token_bytes(32)
_DATE = "%Y%m%dT%H%M%SZ"


def download_url(box: Sandbox, request: Request) -> Reply:
    """A link for any URL of the file host of the sandbox, whether the file exists or not."""
    url = parse_body(request).get("url")
    if not isinstance(url, str) or not _is_own_url(box, url):
        return envelope(422, "url is wrong")
    path = urlsplit(url).path.removeprefix("/signed")
    box.log.append("minted", path=path)
    return success(signed_link(box, path))


def _is_own_url(box: Sandbox, url: str) -> bool:
    """True if the URL is on the file host of the sandbox, by its own or its public address."""
    try:
        parts, local, public = urlsplit(url), urlsplit(box.address), urlsplit(box.base_url)
        same_machine = parts.hostname in ("127.0.0.1", "localhost", "::1") and parts.port == local.port
    except ValueError:
        return False
    on_host = parts.netloc == public.netloc or same_machine
    return on_host and parts.scheme == public.scheme and parts.path.count("/") > 1


def signed_link(box: Sandbox, path: str) -> str:
    """A link in the S3 format that kie.ai uses."""
    made_at = int(box.clock.now())
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Date": datetime.fromtimestamp(made_at, UTC).strftime(_DATE),
        "X-Amz-Expires": str(LINK_S),
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": _signature(path, made_at),
    }
    return f"{box.base_url}/signed{path}?{urlencode(query)}"


def is_valid_link(box: Sandbox, path: str, query: str) -> bool:
    """True if a signed link was issued for this path and has not expired."""
    arguments = {key: values[0] for key, values in parse_qs(query).items()}
    try:
        made_at = datetime.strptime(arguments["X-Amz-Date"], _DATE).replace(tzinfo=UTC).timestamp()
    except (KeyError, ValueError):
        return False
    signature = _signature(path, int(made_at))
    return hmac.compare_digest(signature, arguments.get("X-Amz-Signature", "")) and box.clock.now() < made_at + LINK_S


def _signature(path: str, made_at: int) -> str:
    return hmac.new(_KEY, f"{path}@{made_at}".encode(), hashlib.sha256).hexdigest()

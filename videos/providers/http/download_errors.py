"""The errors of downloading a result.

FetchError            .transient  .code  .detail (never with the query string of a URL, because it holds a signature)
|- ForbiddenAddress   permanent   the URL or a redirect leads to a forbidden address; operators are alerted
|- LinkExpired        transient   401, 403, 410: request a new link
|- Missing            transient   404: request a new link or wait
|- TooLarge           permanent   more bytes than the limit
`- Interrupted        transient   anything else; the first `got_bytes` bytes are valid, resume with `etag`
   `- TooSlow                     below the minimum speed, or after the total time
"""

from typing import ClassVar


class FetchError(Exception):
    """The base class. `detail` is a short phrase written by this package."""

    transient: ClassVar[bool] = True
    code: ClassVar[str] = "fetch_error"

    def __init__(self, detail: str = "", *, status: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


class ForbiddenAddress(FetchError, ValueError):
    """The address is private, reserved or disguised.

    This is a ValueError, so that HTTP libraries do not treat it as a network error.
    """

    transient = False
    code = "forbidden_address"


class LinkExpired(FetchError):
    """401, 403 or 410: this link no longer works."""

    code = "link_expired"


class Missing(FetchError):
    """404: there is no such file."""

    code = "missing"


class TooLarge(FetchError):
    """The file is larger than the limit, or the response announces such a file."""

    transient = False
    code = "too_large"


class Interrupted(FetchError):
    """The file is incomplete; its first `got_bytes` bytes have arrived."""

    code = "interrupted"

    def __init__(self, detail: str = "", *, status: int | None = None, got_bytes: int = 0, etag: str = "") -> None:
        super().__init__(detail, status=status)
        self.got_bytes = got_bytes
        self.etag = etag


class TooSlow(Interrupted):
    """The download was slower than the minimum speed, or took longer than the total time."""

    code = "too_slow"

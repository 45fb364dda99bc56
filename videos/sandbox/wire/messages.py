"""Requests, replies with their delivery options, envelopes, and the texts that kie.ai sends."""

import gzip
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from email.message import Message
from typing import Any
from urllib.parse import parse_qs

JSON = "application/json;charset=UTF-8"
HOSTILE_URL = "http://169.254.169.254/latest/meta-data/"
PRIVATE_URL = "http://10.0.0.1/private.mp4"

NO_CREDITS = "Credits insufficient : Your current balance isn't enough to run this request. Please top up to continue."
POLICY = "Your prompt was flagged by Website as violating content policies."
NO_ACCESS = "You do not have access permissions"
TOO_OFTEN = "Your call frequency is too high. Please try again later."
INTERNAL = "Internal Error, Please try again later."
IMAGE = "Failed to fetch the image. Kindly verify any access limits set by you or your service provider."
RECORD_NULL = "record is null"
RECORD_BLANK = "record result data is blank"
NOT_SUCCESS = "record status is not success"
TOO_OLD = "Temporarily supports records within 14 days"
BUSY_1080P = "1080P is processing. It should be ready in 1-2 minutes. Please check back shortly."
BUSY_4K = "4k is processing. It should be ready in 5-10 minutes. Please check back shortly."
DONE_4K = "The video has been generated successfully"
FAILED_4K = "The 4K version of this video is unavailable. Please try a different video."

_BOMB_BYTES = 100 * 1024 * 1024
_HUGE_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; `path` is without the query, and header names are case-insensitive."""

    method: str
    path: str
    query: str
    headers: Message
    body: bytes

    def argument(self, name: str) -> str:
        return parse_qs(self.query).get(name, [""])[0]

    def json(self) -> Any:
        """The parsed body. Raises ValueError if it is not JSON."""
        try:
            return json.loads(self.body, parse_float=Decimal)
        except RecursionError:
            raise ValueError("nested too deeply") from None


@dataclass(slots=True, kw_only=True)
class Reply:
    """One reply and how it is sent: completely, late, truncated, or not at all."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    stream: Iterator[bytes] | None = None  # instead of the body
    length: int | None = None  # the Content-Length, if it differs from the body's; a stream without it is chunked
    wait_s: float = 0.0  # real seconds before the first byte
    silent: bool = False  # closes the connection without sending a byte
    reset: bool = False  # resets the connection after the body instead of ending it
    cut: bool = False  # closes after the body, even if it is shorter than announced
    task_id: str = ""  # for the event log: the task whose file this is
    file_sha256: str = ""

    @property
    def chunked(self) -> bool:
        return self.stream is not None and self.length is None

    def chunks(self) -> Iterable[bytes]:
        return self.stream if self.stream is not None else (self.body,)


@dataclass(eq=False)
class Refused(Exception):
    """The request is refused with this reply; no task was created."""

    reply: Reply


def number(value: Decimal) -> int | float:
    """A decimal as the number that is sent in JSON: 5000, 37.5."""
    return int(value) if value == int(value) else float(value)


def dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def envelope(code: int, msg: str, data: Any = None, *, status: int = 200) -> Reply:
    """`{"code","msg","data"}`, with HTTP 200 unless `status` says otherwise."""
    return Reply(status=status, body=dump({"code": code, "msg": msg, "data": data}))


def success(data: Any) -> Reply:
    return envelope(200, "success", data)


def html(status: int, title: str) -> Reply:
    """A gateway's error page."""
    name = f"{status} {title}"
    page = f"<html>\r\n<head><title>{name}</title></head>\r\n<body><center><h1>{name}</h1></center></body></html>"
    return Reply(status=status, body=page.encode(), content_type="text/html")


def huge(reply: Reply) -> Reply:
    """The reply with its JSON followed by 200 MB of blanks."""
    blanks = itertools.repeat(b" " * 65536, _HUGE_BYTES // 65536)
    return Reply(stream=itertools.chain([reply.body], blanks), length=len(reply.body) + _HUGE_BYTES)


def gzip_bomb(reply: Reply) -> Reply:
    """The reply with its JSON followed by 100 MB of blanks, in about 100 KB of gzip."""
    return Reply(body=gzip.compress(reply.body + b" " * _BOMB_BYTES, 6, mtime=0), headers={"Content-Encoding": "gzip"})


def truncated(reply: Reply) -> Reply:
    """The reply with only half of its body, and the Content-Length of that half."""
    return Reply(status=reply.status, body=reply.body[: len(reply.body) // 2])

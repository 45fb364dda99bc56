"""A loopback file server that supports ranges, and a function that downloads from it."""

import io
import re
import socket
import time
from typing import Any

from tests.videos.providers.loopback import Behaviour, Loopback, make_http_response
from videos.providers.http.addresses import AllowList
from videos.providers.http.download import FetchLimits, FetchResult, fetch

CONTENT = bytes(range(256)) * 2000  # 512,000 bytes

ETAG = '"film-1"'

SIGNATURE = "X-Amz-Signature=canary-signature"

ALLOW_LOOPBACK = AllowList.parse("127.0.0.1")

LIMITS = FetchLimits(
    max_bytes=1_000_000, connect_s=1, read_s=0.5, response_s=1, total_s=3, min_bytes_per_s=1000, speed_window_s=0.4
)

MP4 = {"Content-Type": "video/mp4", "ETag": ETAG}


def download(server: Loopback, path: str = f"/v/a.mp4?{SIGNATURE}", **kwargs: Any) -> tuple[FetchResult, bytes]:
    into = kwargs.pop("into", None) or io.BytesIO()
    fetched = fetch(server.url + path, into=into, limits=kwargs.pop("limits", LIMITS), allow=ALLOW_LOOPBACK, **kwargs)
    return fetched, into.getvalue()


def range_server(content: bytes = CONTENT, etag: str = ETAG) -> Behaviour:
    """A correct file server: ranges, If-Range, 416."""

    def behave(sock: socket.socket, request: bytes) -> None:
        byte_range = re.search(rb"\r\nRange: bytes=(\d+)-\r\n", request)
        match = re.search(rb"\r\nIf-Range: ([^\r]+)\r\n", request)
        headers = {"Content-Type": "video/mp4", "ETag": etag}
        if byte_range is None or (match and match[1].decode() != etag):
            sock.sendall(make_http_response("200 OK", content, headers=headers))
            return
        start = int(byte_range[1])
        if start >= len(content):
            data = make_http_response(
                "416 Range Not Satisfiable", headers=headers | {"Content-Range": f"bytes */{len(content)}"}
            )
        else:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            data = make_http_response("206 Partial Content", content[start:], headers=headers | {"Content-Range": span})
        sock.sendall(data)

    return behave


def send_slowly(head: bytes, part: bytes) -> Behaviour:
    """Send `part` every 0.2 s, which is below the minimum speed if it is short."""

    def behave(sock: socket.socket, request: bytes) -> None:
        sock.sendall(head)
        while True:
            sock.sendall(part)
            time.sleep(0.2)

    return behave

"""The file upload API, three ways in. Files are kept in memory and served by the file host for a day."""

import base64
import binascii
import http.client
import mimetypes
import random
import re
import string
from datetime import UTC, datetime
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import quote, urlsplit

from videos.sandbox import wire
from videos.sandbox.courier import NotLoopback, loopback_address
from videos.sandbox.house import Sandbox
from videos.sandbox.validation import Invalid, body_of
from videos.sandbox.wire import Reply, Request
from videos.sandbox.world import Stored

ACCOUNT = "136592"
BASE64_MAX = 10 * 1024 * 1024
FILE_MAX = 100 * 1024 * 1024
_KEPT_BYTES = 512 * 1024 * 1024
_DOWNLOAD_S = 30
_DATA_URL = re.compile(r"data:(?P<type>[\w.+/-]+);base64,")
_PART = re.compile(r"[A-Za-z0-9._ -]{1,200}")


def upload_base64(box: Sandbox, request: Request) -> Reply:
    body = _json(request)
    if isinstance(body, Reply):
        return body
    text = body.get("base64Data")
    if not isinstance(text, str) or not text:
        return _bad("base64Data is required")
    head = _DATA_URL.match(text)
    try:
        content = base64.b64decode(text[head.end() :] if head else text, validate=True)
    except (binascii.Error, ValueError):
        return _bad("base64Data is not valid base64")
    if len(content) > BASE64_MAX:
        return _bad("The file is too large for this way of uploading")
    return _keep(box, content, body, content_type=head["type"] if head else "")


def upload_stream(box: Sandbox, request: Request) -> Reply:
    content_type = request.headers.get("Content-Type", "")
    if not content_type.startswith("multipart/form-data"):
        return _bad("multipart/form-data is required")
    message = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + request.body
    )
    fields: dict[str, Any] = {}
    content, kind = None, ""
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(payload, bytes):
            continue
        if name == "file":
            content, kind = payload, part.get_content_type()
            fields.setdefault("originalName", part.get_filename() or "")
        elif isinstance(name, str):
            fields[name] = payload.decode(errors="replace")
    if content is None:
        return _bad("file is required")
    return _keep(box, content, fields, content_type=kind)


def upload_url(box: Sandbox, request: Request) -> Reply:
    """Fetches the file; from this machine only, as the sandbox calls nobody else."""
    body = _json(request)
    if isinstance(body, Reply):
        return body
    url = body.get("fileUrl")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return _bad("fileUrl is required")
    try:
        content, kind = _fetch(url)
    except (OSError, ValueError, http.client.HTTPException) as error:
        box.truth.append("fetch_failed", url=url, error=f"{type(error).__name__}: {error}")
        return _bad("Failed to download the file from fileUrl")
    return _keep(box, content, body, content_type=kind)


def _json(request: Request) -> dict[str, Any] | Reply:
    try:
        return body_of(request)
    except Invalid as invalid:
        return _bad(str(invalid))


def _fetch(url: str) -> tuple[bytes, str]:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise NotLoopback(url)
    port = parts.port or 80
    connection = http.client.HTTPConnection(loopback_address(parts.hostname, port), port, timeout=_DOWNLOAD_S)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"Host": parts.netloc, "User-Agent": "Java-http-client/17"})
        response = connection.getresponse()
        content = response.read(FILE_MAX + 1)
        if response.status != 200 or len(content) > FILE_MAX:
            raise ValueError(f"HTTP {response.status}, {len(content)} bytes")
        return content, response.headers.get_content_type()
    finally:
        connection.close()


def _keep(box: Sandbox, content: bytes, fields: dict[str, Any], *, content_type: str) -> Reply:
    """Store the bytes under `kieai/<account>/<uploadPath>/<fileName>`; the same name overwrites."""
    if box.book.strikes("no-upload"):
        return _bad("File upload failed", code=500)
    folder, name = fields.get("uploadPath"), fields.get("fileName")
    if not isinstance(folder, str) or not folder or not all(_is_part(part) for part in folder.split("/")):
        return _bad("uploadPath is required, without slashes at its ends")
    if not content:
        return _bad("The file is empty")
    kind = content_type or mimetypes.guess_type(str(name or ""))[0] or _sniff(content)
    if not name:
        letters = "".join(random.choices(string.ascii_lowercase + string.digits, k=11))  # noqa: S311 - a file's name
        name = f"{int(box.clock.wall() * 1000)}-{letters}{mimetypes.guess_extension(kind) or '.bin'}"
    if not isinstance(name, str) or not _is_part(name):
        return _bad("fileName is not a file name")
    path = f"kieai/{ACCOUNT}/{folder}/{name}"
    now = box.clock.now()
    with box.world.lock:
        box.world.files["/" + path] = Stored(upload=content, content_type=kind, made_at=now)
        _make_room(box)
    box.truth.append("uploaded", path="/" + path, bytes=len(content), mime_type=kind)
    uploaded_at = (
        datetime.fromtimestamp(box.clock.wall(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
    data = {
        "success": True,
        "fileName": name,
        "filePath": path,
        "downloadUrl": f"{box.base_url}/{quote(path)}",
        "fileSize": len(content),
        "mimeType": kind,
        "uploadedAt": uploaded_at,
    }
    body = {"success": True, "code": 200, "msg": "File uploaded successfully", "data": data}
    return Reply(body=wire.dump(body), content_type="application/json")


def _make_room(box: Sandbox) -> None:
    uploads = [(path, stored) for path, stored in box.world.files.items() if stored.upload]
    total = sum(len(stored.upload) for _, stored in uploads)
    for path, stored in uploads:
        if total <= _KEPT_BYTES:
            return
        del box.world.files[path]
        total -= len(stored.upload)


def _is_part(text: str) -> bool:
    return bool(_PART.fullmatch(text)) and text not in (".", "..")


def _sniff(content: bytes) -> str:
    """The type by the first bytes, for uploads that do not say."""
    if content.startswith(b"\x89PNG"):
        return "image/png"
    if content.startswith(b"\xff\xd8"):
        return "image/jpeg"
    return "image/webp" if content[8:12] == b"WEBP" else "application/octet-stream"


def _bad(msg: str, *, code: int = 400) -> Reply:
    body = {"success": False, "code": code, "msg": msg}
    return Reply(status=code, body=wire.dump(body), content_type="application/json")

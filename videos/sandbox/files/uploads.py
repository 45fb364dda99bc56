"""The file upload API with its three endpoints. Uploads are kept in memory and served for a day."""

import base64
import binascii
import mimetypes
import random
import re
import string
import time
from datetime import UTC, datetime
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import quote

from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.tasks import StoredFile
from videos.sandbox.wire import loopback
from videos.sandbox.wire.messages import Reply, Request, dump
from videos.sandbox.wire.validation import Invalid, parse_body

ACCOUNT = "136592"
BASE64_MAX = 10 * 1024 * 1024
FILE_MAX = 100 * 1024 * 1024
_MAX_STORED_BYTES = 512 * 1024 * 1024
_DOWNLOAD_S = 30
_DATA_URL = re.compile(r"data:(?P<type>[\w.+/-]+);base64,")
_PART = re.compile(r"(?!\.\.?$)[A-Za-z0-9._ -]{1,200}")


def upload_reply(*, code: int = 200, msg: str = "File uploaded successfully", data: Any = None) -> Reply:
    """A reply of the upload host, which reports errors as HTTP statuses."""
    body = {"success": code == 200, "code": code, "msg": msg} | ({"data": data} if data else {})
    return Reply(status=code, body=dump(body), content_type="application/json")


def upload_base64(box: Sandbox, request: Request) -> Reply:
    body = parse_body(request)
    text = body.get("base64Data")
    if not isinstance(text, str) or not text:
        raise Invalid("base64Data is required")
    head = _DATA_URL.match(text)
    try:
        content = base64.b64decode(text[head.end() :] if head else text, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("base64Data is not valid base64") from None
    if len(content) > BASE64_MAX:
        raise Invalid("The file is too large for this way of uploading")
    return _store_upload(box, content, body, content_type=head["type"] if head else "")


def upload_stream(box: Sandbox, request: Request) -> Reply:
    content_type = request.headers.get("Content-Type", "")
    if not content_type.startswith("multipart/form-data"):
        raise Invalid("multipart/form-data is required")
    head = b"Content-Type: " + content_type.encode() + b"\r\n\r\n"
    fields: dict[str, Any] = {}
    content, kind = None, ""
    for part in BytesParser(policy=HTTP).parsebytes(head + request.body).iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(payload, bytes):
            continue
        if name == "file":
            content, kind = payload, part.get_content_type()
        elif isinstance(name, str):
            fields[name] = payload.decode(errors="replace")
    if content is None:
        raise Invalid("file is required")
    return _store_upload(box, content, fields, content_type=kind)


def upload_url(box: Sandbox, request: Request) -> Reply:
    """Download the file; only from this machine, because the sandbox connects to no other."""
    body = parse_body(request)
    url = body.get("fileUrl")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise Invalid("fileUrl is required")
    try:
        status, kind, content = loopback.request("GET", url, timeout_s=_DOWNLOAD_S, read_bytes=FILE_MAX + 1)
        if status != 200 or len(content) > FILE_MAX:
            raise ValueError(f"HTTP {status}, {len(content)} bytes")
    except loopback.ERRORS as error:
        box.log.append("fetch_failed", url=url, error=f"{type(error).__name__}: {error}")
        raise Invalid("Failed to download the file from fileUrl") from None
    return _store_upload(box, content, body, content_type=kind)


def _store_upload(box: Sandbox, content: bytes, fields: dict[str, Any], *, content_type: str) -> Reply:
    """Store the content under `kieai/<account>/<uploadPath>/<fileName>`; the same name is overwritten."""
    if box.faults.strikes("no-upload"):
        return upload_reply(code=500, msg="File upload failed")
    folder, name = fields.get("uploadPath"), fields.get("fileName")
    if not isinstance(folder, str) or not all(map(_PART.fullmatch, folder.split("/"))):
        raise Invalid("uploadPath is required, without slashes at its ends")
    if not content:
        raise Invalid("The file is empty")
    kind = content_type or mimetypes.guess_type(str(name or ""))[0] or _detect_type(content)
    if not name:
        letters = "".join(random.choices(string.ascii_lowercase + string.digits, k=11))  # noqa: S311 - a file's name
        name = f"{int(time.time() * 1000)}-{letters}{mimetypes.guess_extension(kind) or '.bin'}"
    if not isinstance(name, str) or not _PART.fullmatch(name):
        raise Invalid("fileName is not a file name")
    path = f"kieai/{ACCOUNT}/{folder}/{name}"
    with box.state.lock:
        box.state.files["/" + path] = StoredFile(upload=content, content_type=kind, made_at=box.clock.now())
        while sum(len(stored.upload) for stored in box.state.files.values()) > _MAX_STORED_BYTES:
            del box.state.files[next(path for path, stored in box.state.files.items() if stored.upload)]
    box.log.append("uploaded", path="/" + path, bytes=len(content), mime_type=kind)
    data = {
        "success": True,
        "fileName": name,
        "filePath": path,
        "downloadUrl": f"{box.base_url}/{quote(path)}",
        "fileSize": len(content),
        "mimeType": kind,
        "uploadedAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return upload_reply(data=data)


def _detect_type(content: bytes) -> str:
    """The MIME type by the first bytes, for uploads that do not state it."""
    if content.startswith(b"\x89PNG"):
        return "image/png"
    if content.startswith(b"\xff\xd8"):
        return "image/jpeg"
    return "image/webp" if content[8:12] == b"WEBP" else "application/octet-stream"

"""Serving media over HTTP: ranges, caching, names, and links into a bucket."""

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.core.files.storage import storages
from django.test import Client
from django.urls import reverse
from django.utils.http import http_date
from pytest_django import Settings

from accounts.models import User
from tests.s3 import S3
from tests.videos.storage.ready_videos import VIDEO, read_body, ready_video
from videos.models import VideoFile, VideoTask
from videos.views import media

pytestmark = pytest.mark.usefixtures("own_media")


def test_a_video_is_served_whole_to_its_owner(get: Callable[..., Any]) -> None:
    response = get()
    assert (response.status_code, read_body(response)) == (200, VIDEO)
    assert response["Content-Type"] == "video/mp4"
    assert response["Content-Length"] == str(len(VIDEO))
    assert response["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    ("range_header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=100-", 100, len(VIDEO) - 1),
        ("bytes=-500", len(VIDEO) - 500, len(VIDEO) - 1),
        (f"bytes=-{len(VIDEO) * 2}", 0, len(VIDEO) - 1),
        (f"bytes=5-{len(VIDEO) * 2}", 5, len(VIDEO) - 1),
        ("Bytes= 10-19 ", 10, 19),
        (f"bytes={len(VIDEO) - 1}-", len(VIDEO) - 1, len(VIDEO) - 1),
    ],
)
def test_a_range_is_served_as_206(get: Callable[..., Any], range_header: str, first: int, last: int) -> None:
    response = get(Range=range_header)
    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes {first}-{last}/{len(VIDEO)}"
    assert response["Content-Length"] == str(last - first + 1)
    assert read_body(response) == VIDEO[first : last + 1]


@pytest.mark.parametrize(
    "range_header",
    ["bytes=", "bytes=-", "bytes=9-5", "bytes=a-b", "items=0-5", "bytes=0-1,5-6", "bytes=+1-5", "bytes=٣-٤", "0-5"],
)
def test_a_malformed_or_multiple_range_gets_the_whole_file(get: Callable[..., Any], range_header: str) -> None:
    response = get(Range=range_header)
    assert (response.status_code, read_body(response)) == (200, VIDEO)
    assert "Content-Range" not in response


@pytest.mark.parametrize("range_header", [f"bytes={len(VIDEO)}-", "bytes=99999999-100000000", "bytes=-0"])
def test_a_range_past_the_end_gets_416_and_the_length(get: Callable[..., Any], range_header: str) -> None:
    response = get(Range=range_header)
    assert (response.status_code, response["Content-Range"]) == (416, f"bytes */{len(VIDEO)}")
    assert response.content == b""


def test_if_range_continues_only_the_same_file(get: Callable[..., Any], video: VideoTask) -> None:
    whole = get()
    etag, modified = whole["ETag"], whole["Last-Modified"]
    read_body(whole)
    assert get(Range="bytes=0-4", If_Range=etag).status_code == 206
    assert get(Range="bytes=0-4", If_Range=modified).status_code == 206
    for other in ['"another"', f"W/{etag}", http_date(0), "nonsense", "Sat, 01 Jan 2050 00:00:00 GMT"]:
        assert get(Range="bytes=0-4", If_Range=other).status_code == 200


def test_a_file_in_the_browsers_cache_is_not_sent_again(get: Callable[..., Any]) -> None:
    whole = get()
    etag, modified = whole["ETag"], whole["Last-Modified"]
    for conditions in ({"If_None_Match": etag}, {"If_None_Match": f'"x", W/{etag}'}, {"If_Modified_Since": modified}):
        response = get(**conditions)
        assert (response.status_code, read_body(response)) == (304, b"")
        assert response["ETag"] == etag
    # Conditions are checked before the range.
    assert get(If_None_Match=etag, Range="bytes=0-4").status_code == 304
    assert get(If_None_Match='"x"', Range="bytes=0-4").status_code == 206
    assert get(If_Match='"x"').status_code == 412


def test_head_has_the_headers_of_get_and_no_body(get: Callable[..., Any]) -> None:
    response = get("head", Range="bytes=0-4")
    assert (response.status_code, read_body(response)) == (200, b"")
    assert response["Content-Length"] == str(len(VIDEO))
    assert response["Content-Type"] == "video/mp4"


def test_media_allows_get_and_head_only(get: Callable[..., Any]) -> None:
    for method in ("post", "put", "delete", "patch"):
        assert get(method).status_code == 405


def test_f51_a_script_inside_a_video_is_never_run(client: Client, alice: User, tmp_path: Path) -> None:
    polyglot = VIDEO + b"<html><script>alert(document.domain)</script></html>"
    task = ready_video(alice, tmp_path, content=polyglot)
    client.force_login(alice)
    for name in ("file", "poster"):
        for headers in ({}, {"Range": "bytes=0-99"}, {"Range": "bytes=999999999-"}):
            response = client.get(reverse(f"videos:{name}", args=[task.pk]), headers=headers)
            assert response["Content-Type"] == ("video/mp4" if name == "file" else "image/webp")
            assert response["X-Content-Type-Options"] == "nosniff"
            assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
            assert response["Cross-Origin-Resource-Policy"] == "same-origin"
            read_body(response)


def test_media_are_cached_only_by_the_owners_browser(client: Client, alice: User, video: VideoTask) -> None:
    client.force_login(alice)
    for name in ("file", "poster"):
        response = client.get(reverse(f"videos:{name}", args=[video.pk]))
        directives = {part.strip() for part in response["Cache-Control"].split(",")}
        assert "private" in directives
        assert not {"public", "no-store"} & directives
        assert "Cookie" in response["Vary"]
        read_body(response)


def test_a_download_has_a_name_made_from_the_prompt(get: Callable[..., Any]) -> None:
    assert get(query="?download=1")["Content-Disposition"] == (
        "attachment; filename=\"A-kite.mp4\"; filename*=UTF-8''A-kite-%E5%A4%8F%E5%A4%A9.mp4"
    )
    assert get()["Content-Disposition"].startswith("inline; filename=")


@pytest.mark.parametrize(
    ("title", "file_name"),
    [
        ("../../etc/passwd", "etc-passwd.mp4"),
        ('a"; filename="evil.exe', "a-filename-evil-exe.mp4"),
        ("line\r\nSet-Cookie: x=1", "line-Set-Cookie-x-1.mp4"),
        ("夏天", "video.mp4"),
        ("", "video.mp4"),
        ("-.-", "video.mp4"),
        ("Café crème", "Cafe-creme.mp4"),
        ("a" * 500, "a" * 60 + ".mp4"),
        ("\u202egpj.exe\x00", "gpj-exe.mp4"),
    ],
)
def test_no_title_can_inject_anything_into_the_header(title: str, file_name: str) -> None:
    header = media.content_disposition(title, suffix=".mp4", attached=True)
    assert header.startswith(f"attachment; filename=\"{file_name}\"; filename*=UTF-8''")
    assert header.isascii()
    assert header.isprintable()


def test_a_file_is_closed_when_the_client_disconnects(get: Callable[..., Any]) -> None:
    response = get()
    next(iter(response.streaming_content))
    response.close()  # an unclosed file would be a warning, and warnings are errors


def test_nginx_gets_the_path_of_the_file_and_no_content(get: Callable[..., Any], settings: Settings) -> None:
    settings.X_ACCEL_PREFIX = "/protected/"
    response = get(Range="bytes=0-4")
    assert (response.status_code, response.content) == (200, b"")
    assert response["X-Accel-Redirect"] == f"/protected/{VideoFile.objects.get().name}"
    assert response["Content-Type"] == "video/mp4"
    assert response["Cache-Control"] == "private, max-age=3600"


def test_a_video_in_a_bucket_is_served_by_a_short_lived_link(
    client: Client, alice: User, bob: User, tmp_path: Path, s3_server: S3, settings: Settings
) -> None:
    settings.STORAGES = settings.STORAGES | {
        "default": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": s3_server.storage_options}
    }
    task = ready_video(alice, tmp_path)
    url = reverse("videos:file", args=[task.pk])
    client.force_login(bob)
    assert client.get(url).status_code == 404
    client.force_login(alice)
    response = client.get(f"{url}?download=1")
    assert response.status_code == 302
    assert response["Cache-Control"] == "private, no-store"
    link = response["Location"]
    assert f"{urlsplit(link).scheme}://{urlsplit(link).netloc}" == s3_server.url
    assert "X-Amz-Expires=600" in link
    with requests.get(link, headers={"Range": "bytes=10-19"}, timeout=10) as part:
        assert (part.status_code, part.content) == (206, VIDEO[10:20])
        assert part.headers["Content-Type"] == "video/mp4"
        assert part.headers["Content-Disposition"].startswith("attachment; filename=")
        assert part.headers["Cache-Control"] == "private, max-age=600"
    head = client.head(url)
    with requests.head(head["Location"], timeout=10) as response_to_head:
        assert response_to_head.headers["Content-Length"] == str(len(VIDEO))
    storages["default"].connection.meta.client.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("endpoint", "origin"),
    [("", "https://media-bucket.s3.eu-central-1.amazonaws.com"), ("https://s3.lan:9000/", "https://s3.lan:9000")],
)
def test_the_content_security_policy_allows_the_bucket_only(endpoint: str, origin: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from veoapp import settings as s; print(s.CONTENT_SECURITY_POLICY['DIRECTIVES'])"],
        env=os.environ
        | {
            "AWS_STORAGE_BUCKET_NAME": "media-bucket",
            "AWS_S3_REGION_NAME": "eu-central-1",
            "AWS_S3_ENDPOINT_URL": endpoint,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    directives = ast.literal_eval(result.stdout)
    assert directives["media-src"] == ["'self'", origin]
    assert directives["img-src"] == ["'self'", "data:", origin]
    assert origin not in directives["script-src"]

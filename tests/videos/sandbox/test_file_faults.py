"""Faults of the file host and of uploads."""

import io
import time

import pytest
import requests
from PIL import Image

from tests.sandbox import SandboxProcess
from tests.videos.sandbox.conftest import Kie


def test_a_file_is_refused_for_the_first_requests(sandbox: SandboxProcess, kie: Kie) -> None:
    url, other = kie.result_url(kie.start_task()), kie.result_url(kie.start_task())
    sandbox.set_faults("file-404:2")
    assert [kie.session.get(url, timeout=30).status_code for _ in range(3)] == [404, 404, 200]
    assert kie.session.get(other, timeout=30).status_code == 404
    sandbox.set_faults("file-500:1")
    assert [kie.session.get(url, timeout=30).status_code for _ in range(2)] == [500, 200]
    sandbox.set_faults("file-404")
    assert {kie.session.get(url, timeout=30).status_code for _ in range(3)} == {404}


@pytest.mark.parametrize(("order", "status"), [("file-403-until-minted", 403), ("file-expired", 404)])
def test_a_file_is_served_only_through_a_new_link(sandbox: SandboxProcess, kie: Kie, order: str, status: int) -> None:
    url = kie.result_url(kie.start_task())
    sandbox.set_faults(order)
    assert kie.session.get(url, timeout=30).status_code == status
    link = kie.post("/api/v1/common/download-url", {"url": url}).json()["data"]
    assert kie.session.get(link, timeout=30).status_code == 200


def test_a_file_redirects_elsewhere(sandbox: SandboxProcess, kie: Kie) -> None:
    url = kie.result_url(kie.start_task())
    sandbox.set_faults("redirect-private")
    assert kie.session.get(url, allow_redirects=False, timeout=30).headers["Location"] == "http://10.0.0.1/private.mp4"
    sandbox.set_faults("redirect-loop")
    with pytest.raises(requests.TooManyRedirects):
        kie.session.get(url, timeout=30)
    sandbox.set_faults("redirect-once")
    assert kie.session.get(url, timeout=30).status_code == 200


@pytest.mark.parametrize("order", ["truncated-file", "aborted-chunk"])
def test_a_file_ends_early(sandbox: SandboxProcess, kie: Kie, order: str) -> None:
    task_id = kie.start_task()
    url = kie.result_url(task_id)
    sandbox.set_faults(f"{order}:1")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _ = kie.session.get(url, timeout=30).content
    whole = kie.session.get(url, timeout=30).content
    rows = sandbox.wait_for("served", count=2, task_id=task_id)
    assert [row["bytes"] for row in rows] == [len(whole) // 2, len(whole)]


def test_a_file_is_endless_or_slow(sandbox: SandboxProcess, kie: Kie) -> None:
    url = kie.result_url(kie.start_task())
    for order, length in (("endless-file", None), ("huge-length", str(10 * 1024**3))):
        sandbox.set_faults(order)
        with kie.session.get(url, stream=True, timeout=30) as response:
            assert response.headers.get("Content-Length") == length
            assert len(response.raw.read(30_000_000)) == 30_000_000
    sandbox.set_faults("slow-loris:0.2")
    with kie.session.get(url, stream=True, timeout=30) as response:
        started = time.monotonic()
        response.raw.read(4)
        assert time.monotonic() - started > 0.5


@pytest.mark.parametrize(
    ("order", "first_bytes"),
    [("html-file", b"<html>"), ("json-file", b'{"code":404'), ("empty-file", b""), ("image-file", b"\x89PNG")],
)
def test_a_file_is_not_a_video(sandbox: SandboxProcess, kie: Kie, order: str, first_bytes: bytes) -> None:
    url = kie.result_url(kie.start_task())
    sandbox.set_faults(order)
    content = kie.session.get(url, timeout=30).content
    assert content[: len(first_bytes)] == first_bytes
    assert b"ftyp" not in content[:16]
    if order == "image-file":
        assert Image.open(io.BytesIO(content)).format == "PNG"


def test_a_polyglot_is_a_video_with_a_script(sandbox: SandboxProcess, kie: Kie) -> None:
    url = kie.result_url(kie.start_task())
    sandbox.set_faults("polyglot")
    content = kie.session.get(url, timeout=30).content
    assert content[4:8] == b"ftyp"
    assert b"<script>" in content


def test_results_are_short_doubled_or_without_ranges(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("short-film", "second-url-fails", "no-range")
    first, second = kie.wait_until_done(kie.start_task())["response"]["resultUrls"]
    whole = kie.session.get(first, headers={"Range": "bytes=5-"}, timeout=30)
    assert whole.status_code == 200
    assert len(whole.content) < 100_000
    assert kie.session.get(second, timeout=30).status_code == 404


def test_uploads_can_fail(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("no-upload")
    assert kie.post("/api/file-base64-upload", {"base64Data": "aGk=", "uploadPath": "a"}).status_code == 500

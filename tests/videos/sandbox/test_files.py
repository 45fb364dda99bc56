"""Result files, download links and uploads."""

import base64
import hashlib
import io
from collections.abc import Callable
from urllib.parse import urlsplit

import av
import pytest
import requests

from tests.sandbox import SandboxProcess
from tests.videos.sandbox.conftest import Kie

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_served_bytes_are_logged_with_their_hash(sandbox: SandboxProcess, kie: Kie) -> None:
    task_id = kie.start_task()
    content = kie.session.get(kie.result_url(task_id), timeout=60).content
    served = sandbox.events("served", task_id=task_id)[0]
    assert served["sha256"] == served["file_sha256"] == hashlib.sha256(content).hexdigest()
    assert served["bytes"] == len(content)


def test_no_two_tasks_have_the_same_file(kie: Kie) -> None:
    first, second = (
        kie.session.get(kie.result_url(kie.start_task("same", seeds=12345)), timeout=60).content for _ in range(2)
    )
    assert first != second


def test_ranges_are_served_only_for_the_same_file(kie: Kie) -> None:
    url = kie.result_url(kie.start_task())
    whole = kie.session.get(url, timeout=60)
    size, etag = len(whole.content), whole.headers["ETag"]

    def get_range(value: str, **headers: str) -> requests.Response:
        return kie.session.get(url, headers={"Range": value, **headers}, timeout=60)

    middle = get_range("bytes=100-199")
    assert (middle.status_code, middle.headers["Content-Range"]) == (206, f"bytes 100-199/{size}")
    assert middle.content == whole.content[100:200]
    assert get_range(f"bytes={size - 5}-").content == get_range("bytes=-5").content == whole.content[-5:]
    assert get_range("bytes=0-", **{"If-Range": etag}).status_code == 206
    assert get_range("bytes=0-9", **{"If-Range": '"other"'}).status_code == 200
    beyond = get_range(f"bytes={size}-")
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert get_range("bytes=nonsense").status_code == 200
    head = kie.session.head(url, timeout=60)
    assert (head.headers["Content-Length"], head.content) == (str(size), b"")


def test_files_expire_by_the_clock_and_links_after_twenty_minutes(sandbox: SandboxProcess, kie: Kie) -> None:
    url = kie.result_url(kie.start_task())
    assert kie.session.get(url, timeout=60).status_code == 200
    sandbox.advance(86400)
    assert kie.session.get(url, timeout=60).status_code == 404
    response = kie.post("/api/v1/common/download-url", {"url": url}).json()
    assert response["code"] == 200
    link = response["data"]
    assert "X-Amz-Signature=" in link
    assert kie.session.get(link, timeout=60).status_code == 200
    assert kie.session.get(link[:-1] + "0", timeout=60).status_code in (200, 403)
    assert kie.session.get(link.replace("/v/", "/p/"), timeout=60).status_code == 403
    sandbox.advance(20 * 60)
    assert kie.session.get(link, timeout=60).status_code == 403


@pytest.mark.parametrize(
    "url", ["https://example.com/v/a.mp4", "nonsense", "", 5, None, "http://127.0.0.1:1/v/a.mp4", "http://[::1"]
)
def test_only_urls_of_the_file_host_get_a_link(kie: Kie, url: object) -> None:
    response = kie.post("/api/v1/common/download-url", {"url": url})
    assert response.json() == {"code": 422, "msg": "url is wrong", "data": None}


def test_a_url_without_a_file_gets_a_link_that_gives_404(kie: Kie) -> None:
    link = kie.post("/api/v1/common/download-url", {"url": kie.url + "/v/made_up.mp4"}).json()["data"]
    assert kie.session.get(link, timeout=10).status_code == 404


def test_result_addresses_can_begin_with_a_proxy(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.settings(public_url="http://localhost:9")
    url = kie.result_url(kie.start_task())
    assert url.startswith("http://localhost:9/v/")
    link = kie.post("/api/v1/common/download-url", {"url": url}).json()["data"]
    assert link.startswith("http://localhost:9/signed/v/")
    assert kie.session.get(sandbox.url + urlsplit(url).path, timeout=60).status_code == 200


def _check_upload(kie: Kie, response: requests.Response, name: str | None, kind: str = "image/png") -> str:
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    body = response.json()
    assert (body["success"], body["code"], body["msg"]) == (True, 200, "File uploaded successfully")
    data = body["data"]
    assert set(data) == {"success", "fileName", "filePath", "downloadUrl", "fileSize", "mimeType", "uploadedAt"}
    assert data["filePath"] == f"kieai/136592/images/tests/{data['fileName']}"
    assert (data["fileSize"], data["mimeType"]) == (len(PNG), kind)
    if name:
        assert data["fileName"] == name
    download = kie.session.get(data["downloadUrl"], timeout=10)
    assert (download.content, download.headers["Content-Type"]) == (PNG, kind)
    return str(data["downloadUrl"])


def test_files_are_uploaded_as_base64_as_a_stream_and_by_url(sandbox: SandboxProcess, kie: Kie) -> None:
    encoded = base64.b64encode(PNG).decode()
    folder = {"uploadPath": "images/tests"}
    plain = kie.post("/api/file-base64-upload", {"base64Data": encoded, **folder, "fileName": "a.png", "mimeType": "x"})
    url = _check_upload(kie, plain, "a.png")
    data_url = kie.post("/api/file-base64-upload", {"base64Data": "data:image/png;base64," + encoded, **folder})
    _check_upload(kie, data_url, None)
    stream = kie.session.post(
        kie.url + "/api/file-stream-upload", files={"file": ("b.png", PNG, "image/png")}, data=folder, timeout=10
    )
    _check_upload(kie, stream, None)
    fetched = kie.post("/api/file-url-upload", {"fileUrl": url, **folder, "fileName": "c.png"})
    _check_upload(kie, fetched, "c.png")
    sandbox.advance(86400)
    assert kie.session.get(url, timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("base64", {"uploadPath": "a"}),
        ("base64", {"base64Data": "%%%", "uploadPath": "a"}),
        ("base64", {"base64Data": "aGk="}),
        ("base64", {"base64Data": "aGk=", "uploadPath": "/a"}),
        ("base64", {"base64Data": "aGk=", "uploadPath": "a/../b"}),
        ("base64", {"base64Data": "aGk=", "uploadPath": "a", "fileName": "../x"}),
        ("stream", {"uploadPath": "a"}),
        ("url", {"uploadPath": "a"}),
        ("url", {"uploadPath": "a", "fileUrl": "http://192.0.2.1/x.png"}),
        ("url", {"uploadPath": "a", "fileUrl": "https://127.0.0.1/x.png"}),
    ],
)
def test_invalid_uploads_are_http_400(kie: Kie, path: str, body: dict[str, str]) -> None:
    response = kie.post(f"/api/file-{path}-upload", body)
    assert response.status_code == 400
    assert (response.json()["success"], response.json()["code"]) == (False, 400)


def test_uploads_need_the_key(kie: Kie) -> None:
    kie.session.headers["Authorization"] = "Bearer wrong"
    response = kie.post("/api/file-base64-upload", {"base64Data": "aGk=", "uploadPath": "a"})
    assert (response.status_code, response.json()["code"]) == (401, 401)


@pytest.mark.parametrize("resolution", ["720p", "1080p", "4k"])
@pytest.mark.parametrize("aspect", ["16:9", "9:16"])
def test_plain_videos_have_the_ordered_size_and_length(kie: Kie, resolution: str, aspect: str) -> None:
    url = kie.result_url(kie.start_task(resolution=resolution, aspect_ratio=aspect, duration=4))
    with av.open(io.BytesIO(kie.session.get(url, timeout=60).content), "r") as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        landscape = {"720p": (1280, 720), "1080p": (1920, 1080), "4k": (3840, 2160)}[resolution]
        assert (video.width, video.height) == (landscape if aspect == "16:9" else landscape[::-1])
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert abs(float(container.duration or 0) / 1e6 - 4) < 0.2


def test_an_upload_is_overwritten_by_the_same_name(kie: Kie) -> None:
    def upload(text: str) -> str:
        body = {"base64Data": base64.b64encode(text.encode()).decode(), "uploadPath": "a", "fileName": "n.txt"}
        return str(kie.post("/api/file-base64-upload", body).json()["data"]["downloadUrl"])

    assert upload("one") == upload("two")
    assert kie.session.get(upload("three"), timeout=10).text == "three"


def test_a_drawn_video_is_served(
    new_sandbox: Callable[..., SandboxProcess], connect: Callable[[SandboxProcess], Kie]
) -> None:
    process = new_sandbox(film="art")
    kie = connect(process)
    url = kie.result_url(kie.start_task("A lighthouse at dusk", duration=4))
    content = kie.session.get(url, timeout=120).content
    with av.open(io.BytesIO(content), "r") as container:
        assert sum(1 for _ in container.decode(video=0)) == 4 * 20
    assert content.index(b"moov") < content.index(b"mdat")

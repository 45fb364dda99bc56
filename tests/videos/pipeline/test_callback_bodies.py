"""Bodies of callbacks: too large, too slow, malformed, and too many (faults.md B)."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from urllib.parse import urlsplit

import pytest
import requests
from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory

from accounts.models import User
from accounts.seams import clock
from tests.videos.pipeline.callback_calls import make_body, post_callback
from tests.videos.world import World
from videos.models import CallbackReceipt
from videos.pipeline import callbacks, dispatch


def test_f32_a_body_larger_than_64_kib_is_refused(world_with_callbacks: World, alice: User, token: str) -> None:
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    assert post_callback(task, token, b"x" * (callbacks.MAX_BODY_BYTES + 1)).status_code == 413
    assert not task.callbacks.exists()


def test_f32_a_slow_body_holds_a_gunicorn_thread_only_briefly(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "BODY_TIMEOUT_S", 0.5)
    client_socket, server_socket = socket.socketpair()
    with client_socket, server_socket, server_socket.makefile("rb") as received:
        client_socket.sendall(b'{"data": ')
        request = RequestFactory().post("/api/veo/callback", b"", content_type="application/json")
        slow_request = WSGIRequest(
            {**request.environ, "CONTENT_LENGTH": "60000", "wsgi.input": received, "gunicorn.socket": server_socket}
        )
        started_at = time.monotonic()
        response = callbacks.common_callback(slow_request)
        assert time.monotonic() - started_at < 5
    assert response.status_code == 400
    assert CallbackReceipt.objects.get().body == '{"data": '


@pytest.mark.parametrize(("spaces", "status"), [(0, 200), (callbacks.MAX_BODY_BYTES, 413)])
def test_f32_a_chunked_body_is_read_up_to_the_same_limit(db: None, spaces: int, status: int) -> None:
    body = make_body("a" * 32) + b" " * spaces
    request = RequestFactory().post("/api/veo/callback", b"", content_type="application/json")
    environ = {**request.environ, "wsgi.input": BytesIO(body), "wsgi.input_terminated": True}
    assert callbacks.common_callback(WSGIRequest(environ)).status_code == status
    assert CallbackReceipt.objects.count() == (1 if status == 200 else 0)


def test_f33_an_invalid_chunk_is_a_malformed_body(db: None) -> None:
    class InvalidChunks(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise RuntimeError("invalid chunk size")

    request = RequestFactory().post("/api/veo/callback", b"", content_type="application/json")
    environ = {**request.environ, "wsgi.input": InvalidChunks(), "wsgi.input_terminated": True}
    assert callbacks.common_callback(WSGIRequest(environ)).status_code == 400


def test_f32_a_body_without_a_length_is_not_waited_for(world_with_callbacks: World, alice: User, token: str) -> None:
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    address = urlsplit(dispatch.build_callback_url(task.pk, token))
    with socket.create_connection((address.hostname, address.port or 80), timeout=5) as connection:
        connection.sendall(f"POST {address.path} HTTP/1.1\r\nHost: testserver\r\nContent-Length: -5\r\n\r\n".encode())
        response = connection.recv(200)
    assert b" 413 " in response or b" 400 " in response


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"null", "application/json"),
        (b"[1]", "application/json"),
        (b"\xff\xfe\x00", "application/json"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "application/json"),
        (b'{"code": NaN, "data": {}}', "application/json"),
        (b'{"data": {"taskId": 5}}', "application/json"),
        (b'{"data": {"taskId": "a\\u0000b"}}', "application/json"),
        (b"taskId=1", "application/x-www-form-urlencoded"),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--', "multipart/form-data; boundary=x"),
        (b"{}", "text/plain; charset=no-such-charset"),
    ],
)
def test_f33_a_malformed_body_is_stored_as_malformed_and_leads_to_one_poll(
    world_with_callbacks: World, alice: User, token: str, body: bytes, content_type: str
) -> None:
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    response = post_callback(task, token, body, **{"Content-Type": content_type})
    assert response.status_code == 400
    assert task.callbacks.get().verdict == "malformed"
    assert world_with_callbacks.reload(task).due_at <= clock.now()
    world_with_callbacks.run()
    world_with_callbacks.assert_charged(task)


def test_a_flood_of_different_callbacks_stores_a_limited_number(
    world_with_callbacks: World, alice: User, token: str
) -> None:
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    with ThreadPoolExecutor(4) as pool:
        status_codes = list(
            pool.map(lambda number: post_callback(task, token, make_body(f"{number:032x}")).status_code, range(60))
        )
    assert set(status_codes) == {200}
    assert task.callbacks.count() <= callbacks.MAX_PER_TASK + 4


def test_a_get_on_a_callback_address_is_refused(world_with_callbacks: World, alice: User, token: str) -> None:
    task = world_with_callbacks.order(alice)
    world_with_callbacks.send()
    assert requests.get(dispatch.build_callback_url(task.pk, token), timeout=5).status_code == 405

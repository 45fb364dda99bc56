"""Downloads never show a signature, use a proxy or leave a thread running."""

import io
import ipaddress
import logging
import threading
import time
from typing import Any

import pytest

from tests.videos.providers.http.file_server import ALLOW_LOOPBACK, CONTENT, LIMITS, SIGNATURE, download
from tests.videos.providers.loopback import Behaviour, reset_connection, respond_with, serve
from videos.providers.http.download import FetchLimits, fetch
from videos.providers.http.download_errors import (
    FetchError,
)


def test_no_signature_is_in_an_error_or_a_log(caplog: pytest.LogCaptureFixture, closed_port: int) -> None:
    secret = "canary-signature"
    behaviours: list[Behaviour] = [
        respond_with("403 No"),
        respond_with("404 No"),
        respond_with("500 No"),
        respond_with("200 OK", CONTENT[:9], length=99),
        respond_with("302 Found", headers={"Location": f"http://10.0.0.1/x?{SIGNATURE}"}),
        respond_with("302 Found", headers={"Location": f"ftp://10.0.0.1/x?{SIGNATURE}"}),
        reset_connection,
    ]
    with caplog.at_level(logging.DEBUG):
        for behave in behaviours:
            with serve(behave) as server, pytest.raises(FetchError) as caught:
                download(server)
            assert secret not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
        with pytest.raises(FetchError) as caught:
            fetch(
                f"http://127.0.0.1:{closed_port}/x?{SIGNATURE}", into=io.BytesIO(), limits=LIMITS, allow=ALLOW_LOOPBACK
            )
        assert secret not in repr(caught.value)
    assert secret not in caplog.text


def test_a_full_disk_is_the_callers_own_error() -> None:
    class FullDisk(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    with serve(respond_with("200 OK", CONTENT)) as server, pytest.raises(OSError, match="No space"):
        download(server, into=FullDisk())


def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serve(respond_with("200 OK", CONTENT)) as server:
        assert download(server)[1] == CONTENT


def test_a_fetch_leaves_no_thread_running() -> None:
    before = threading.active_count()
    with serve(respond_with("200 OK", CONTENT)) as server:
        download(server)
    # The test server may need a moment to end its thread.
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_the_default_limits_fit_one_video() -> None:
    limits = FetchLimits()
    assert limits.max_bytes == 1 << 30
    assert limits.response_s < limits.total_s
    assert ipaddress.ip_address("127.0.0.1").is_loopback

"""Fixtures for tests of the storage."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tests.videos.storage.ready_videos import ready_video
from videos.models import VideoTask


@pytest.fixture
def video(alice: User, tmp_path: Path) -> VideoTask:
    return ready_video(alice, tmp_path)


@pytest.fixture
def get(client: Client, alice: User, video: VideoTask) -> Iterator[Callable[..., Any]]:
    """Alice requests her video with some headers; the responses are closed after the test."""
    client.force_login(alice)
    url = reverse("videos:file", args=[video.pk])
    responses: list[Any] = []

    def get(method: str = "get", query: str = "", **headers: str) -> Any:
        headers_sent = {name.replace("_", "-"): value for name, value in headers.items()}
        responses.append(getattr(client, method)(url + query, headers=headers_sent))
        return responses[-1]

    yield get
    for response in responses:
        response.close()

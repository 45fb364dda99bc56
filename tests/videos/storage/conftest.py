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
    """Alice requests her video with some headers; responses are closed at the end, as a server does."""
    client.force_login(alice)
    url = reverse("videos:file", args=[video.pk])
    answers: list[Any] = []

    def get(method: str = "get", query: str = "", **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answers.append(getattr(client, method)(url + query, headers=named))
        return answers[-1]

    yield get
    for answer in answers:
        answer.close()

"""Fixtures for media: a separate folder per test, and uploads as a form sends them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from pytest_django import Settings


@pytest.fixture
def own_media(tmp_path: Path, settings: Settings) -> Path:
    """An empty media folder for this test only."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.INCOMING_ROOT = tmp_path / "media" / ".incoming"
    return tmp_path / "media"


@pytest.fixture
def image_upload() -> Callable[[bytes], "UploadedFile[bytes]"]:
    """A function that turns bytes into an upload with a wrong name and type, which the product must ignore."""
    return lambda content: SimpleUploadedFile("../../evil.html", content, content_type="text/html")

"""Fixtures for media: a folder of the test's own, uploads as a form brings them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from pytest_django import Settings


@pytest.fixture
def own_media(tmp_path: Path, settings: Settings) -> Path:
    """The storage of this test alone, empty."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.INCOMING_ROOT = tmp_path / "media" / ".incoming"
    return tmp_path / "media"


@pytest.fixture
def image_upload() -> Callable[[bytes], "UploadedFile[bytes]"]:
    """Turns bytes into an upload; its name and type are lies, for nobody may believe them."""
    return lambda content: SimpleUploadedFile("../../evil.html", content, content_type="text/html")

"""Fixtures of browser tests."""

from tests.videos.conftest import own_media

__all__ = ["own_media"]

"""Fixtures for pages in a real browser."""

from tests.videos.conftest import own_media

__all__ = ["own_media"]

"""Fixtures for pages with videos on them."""

from tests.videos.conftest import own_media

__all__ = ["own_media"]

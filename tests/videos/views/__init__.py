"""Tests of `videos.views`."""

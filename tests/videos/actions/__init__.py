"""Tests of `videos.actions`."""

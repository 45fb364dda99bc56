"""Tests of `videos.notifications`."""

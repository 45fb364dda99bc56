"""Tests of `videos.ordering`."""

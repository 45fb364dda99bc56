"""Tests of `videos.admin`."""

"""Tests of `videos.audit`."""

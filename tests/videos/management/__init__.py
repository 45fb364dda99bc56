"""Tests of `videos.management`."""

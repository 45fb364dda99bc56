"""Tests of the checks of the books."""

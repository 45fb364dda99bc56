"""Tests of the billing admin."""

"""Tests of the management commands of billing."""

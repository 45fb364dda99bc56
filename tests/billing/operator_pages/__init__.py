"""Tests of the dashboard and the cost-monitoring API."""

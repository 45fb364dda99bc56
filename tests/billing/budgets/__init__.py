"""Tests of billing.budgets: limits, usage, pacing, the effect on orders, and alerts."""

"""Tests of billing.credits: ledger, lots, expiry, vouchers, statement and the credits page."""

"""Helpers that the other packages of billing share: periods, formatting, CSV, form fields and item names.

Every package may use these helpers. They do not depend on provider accounts, jobs or alerts.
"""

"""Helpers that the other packages of billing share: periods, formatting, CSV, form fields and item names.

Every package may use them. They know nothing of accounts, jobs or alerts.
"""

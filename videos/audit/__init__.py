"""Consistency checks between videos, their money, their files and the stored totals; and the repair of totals.

The worker, the commands and the reconciliation page run them through `billing.audit`; they report and, except for totals,
never correct anything.
"""

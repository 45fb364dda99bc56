"""Consistency checks between videos, their money, their files and the stored totals; and the repair of totals.

The worker and the commands run them through `billing.audit`; the reconciliation page calls `paid_files`. The checks
only report; nothing but the totals is ever corrected here.
"""

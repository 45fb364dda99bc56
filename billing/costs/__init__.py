"""What jobs cost at the provider, and the totals that reports read instead of counting rows.

`spend` and `rollups` are the only writers of their tables. Whether a job may be sent is decided by budgets and the guard.
"""

"""What jobs cost at the provider, and totals of all jobs, so that reports need not count single rows.

`spend` and `rollups` are the only writers of their tables. Whether a job may be sent is decided by budgets and the guard.
"""

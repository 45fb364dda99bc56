"""What jobs cost at the provider, and the counts that reports read instead of counting rows.

`spend` and `rollups` are the only writers of their tables. They decide nothing: budgets and guards do.
"""

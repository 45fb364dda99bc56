"""Spending budgets in provider credits: limits, their usage in each hour, day and month, pacing, and effects on orders.

`usage` is the only writer of budget windows; spending code reserves and releases through it in its own transaction.
Orders and the guard ask `policy` and `pacing`. No module here pauses an account or calls the provider.
"""

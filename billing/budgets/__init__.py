"""Spending budgets in provider credits: limits, the usage of calendar windows, pacing, and what they mean for an order.

`usage` is the only writer of budget windows; spending code reserves and releases through it in its own transaction.
Orders and the guard ask `policy` and `pacing`. Nothing here pauses an account or talks to the provider.
"""

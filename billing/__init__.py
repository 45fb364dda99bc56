"""The money of the site: users' credits, prices, what the provider charges, budgets, reconciliation and alerts.

It may be called by `videos` and `veoapp`. It never opens a network connection and does not know what a video is: a job is
known by its reference only.
"""

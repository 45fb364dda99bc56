"""The way of an order through the provider: submission, callbacks, polling, download, and the readings of balance and prices.
Called by the worker's jobs, views, commands and the actions of operators. It changes a task only through `videos.lifecycle`.
"""

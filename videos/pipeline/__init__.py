"""Everything done with the provider: sends videos, receives callbacks, polls, downloads results, reads balance and prices.
Called by the worker's jobs, views, commands and the actions of operators. It changes a task only through `videos.lifecycle`.
"""

"""Everything done with the provider: sends videos, receives callbacks, polls, downloads results, reads balance and prices.
The worker's jobs, views, commands and operator actions call it. It changes a task only through `videos.lifecycle`.
"""

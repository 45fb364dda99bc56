"""Sends what is due by mail and webhook: alerts and the daily summary to operators, finished videos to their owners.

The worker and commands call it. Which alerts and summaries are due is decided and recorded by `billing`.
"""

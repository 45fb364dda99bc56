"""Alerts to operators: raised and resolved here, with their texts, their runbook and the queue of their deliveries.

Any code may raise an alert. This package never sends a mail or calls a webhook; `videos.notifications` does.
"""

"""How tasks and upgrades begin and end: when, with which outcome, and what that costs.

Endpoints begin them, the schedule ends them. It answers no request, and leaves the callbacks about an end to `callbacks`.
"""

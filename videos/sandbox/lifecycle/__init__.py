"""Starts and ends tasks and upgrades: when, with which outcome, and at what cost.

Endpoints start them and the schedule ends them. It replies to no request and leaves callbacks to `callbacks`.
"""

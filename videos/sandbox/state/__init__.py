"""The state of the simulated provider: tasks, files, balance, prices and the rate limit.

Endpoints and `lifecycle` read and change it under its one lock. It decides nothing about a task and sends nothing.
"""

"""What the provider knows: tasks, files, its balance, its prices, its rate window.

Endpoints and lifecycle read and change it, under its one lock. It decides nothing about a task and sends nothing.
"""

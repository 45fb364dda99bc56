"""Takes orders: what can be ordered, at what price and with which limits, and the transaction that charges and queues it.

Pages, commands and the admin call it; it never talks to the provider and never moves a task on after it was queued.
"""

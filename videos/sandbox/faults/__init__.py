"""The catalogue of faults, and the orders that switch them on, with their counts and probabilities.

Endpoints ask `FaultOrders.strikes` whether a fault applies. What the fault does is written at the endpoint, never here; the
head of `catalogue` says where.
"""

"""What can go wrong by order: the catalogue of faults, and the orders in force, with their counts and chances.

Every endpoint asks `FaultOrders.strikes` before it answers. What a fault then does is written at the endpoint, never here.
"""
